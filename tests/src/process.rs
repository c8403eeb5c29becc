//! Child processes with their output in a file, killed by process id (and process group) when dropped. If this process
//! dies without dropping anything, the kernel kills its children.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, set_parent_process_death_signal};

/// How long a process may take to follow its stop signal before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Lines of a log that an error message quotes.
const TAIL_LINES: usize = 20;

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    stop_signal: Signal,
}

impl Process {
    /// Starts `command` in a process group of its own; standard output and error are appended to the file `log`.
    ///
    /// # Errors
    /// The program cannot be started or the log not be written.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("{name}: cannot write {}", log.display()))?;
        let errors = output.try_clone()?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        // SAFETY: between fork and exec only async-signal-safe calls are allowed; this is one prctl system call.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let program = command.get_program().to_string_lossy().into_owned();
        let child =
            spawn_from_lasting_thread(command).with_context(|| format!("{name}: cannot start {program}"))?;
        Ok(Self { name: name.into(), child, log: log.into(), stop_signal: Signal::KILL })
    }

    /// Makes dropping the process send this signal first, instead of killing it at once.
    #[must_use]
    pub fn stopped_by(mut self, signal: Signal) -> Self {
        self.stop_signal = signal;
        self
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All output so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The exit status, once the process has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// An error if the process has ended, quoting the end of its log.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.exited() {
            None => Ok(()),
            Some(status) => {
                Err(anyhow!("{} ended early ({status}); its last lines:\n{}", self.name, self.log_tail()))
            }
        }
    }

    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// Ends the process with SIGKILL, with its whole group, and waits for it.
    pub fn kill(&mut self) {
        if self.exited().is_none() {
            let _ = kill_process_group(self.group(), Signal::KILL);
            let _ = self.child.wait();
        }
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.group(), signal)?)
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.stop_signal != Signal::KILL && self.exited().is_none() {
            let _ = self.signal(self.stop_signal);
            let deadline = Instant::now() + STOP_GRACE;
            while self.exited().is_none() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.kill();
    }
}

type SpawnRequest = (Command, mpsc::Sender<std::io::Result<Child>>);

/// The kernel's parent-death signal fires when the *thread* that forked ends, and a test's thread ends before the
/// servers that other tests share. So one thread, which lasts as long as the process, forks all children.
fn spawn_from_lasting_thread(command: Command) -> Result<Child> {
    static SPAWNER: LazyLock<mpsc::Sender<SpawnRequest>> = LazyLock::new(|| {
        let (sender, requests) = mpsc::channel::<SpawnRequest>();
        std::thread::spawn(move || {
            while let Ok((mut command, answer)) = requests.recv() {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (sender, answer) = mpsc::channel();
    SPAWNER.send((command, sender)).map_err(|_| anyhow!("the thread that starts processes is gone"))?;
    Ok(answer.recv()??)
}
