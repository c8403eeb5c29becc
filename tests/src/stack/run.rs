//! `make run`: the whole stack in the foreground, and lines to copy into a shell.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

use super::settings::{StackSettings, Tokens};
use crate::admin::{self, Admin};
use crate::gateway::{self, Gateway, Host, Service};
use crate::ports;
use crate::upstream::Upstream;

/// The service the gateway protects, by its name in the admin extension.
const SERVICE: &str = "echo";

/// Runs the stack until Ctrl-C, SIGTERM or the end of one of its parts.
pub async fn run() -> Result<()> {
    let settings = StackSettings::from_environment()?;
    settings.check_ports()?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let stopped = tokio::select! {
        stopped = serve(&settings) => stopped,
        _ = interrupted.recv() => Ok(()),
        _ = terminated.recv() => Ok(()),
    };
    println!("\nstopped");
    stopped
}

async fn serve(settings: &StackSettings) -> Result<()> {
    fs::create_dir_all(&settings.data)
        .with_context(|| format!("APP_AUTH_DATA: {}", settings.data.display()))?;
    let data = fs::canonicalize(&settings.data)?;
    let tokens = Tokens::load_or_make(&data, settings.admin_token.as_deref())?;

    println!("{:<18} http://127.0.0.1:{}/console", "console", settings.admin_port);
    println!("admin token: {}\n", tokens.admin);

    let started = Instant::now();
    let upstream = Upstream::start(settings.upstream_port)?;
    ready("upstream", &format!("http://{}", upstream.address()), started);

    let started = Instant::now();
    let mut admin = Admin::start_from(admin::Settings {
        port: settings.admin_port,
        data: data.clone(),
        database_url: settings.database_url.clone(),
        admin_token: tokens.admin.clone(),
        gateway_token: tokens.gateway.clone(),
        log: data.join("admin.log"),
        environment: Vec::new(),
    })
    .await?;
    let service = register_service(&admin).await?;
    tokens.keep(&data)?;
    ready("admin extension", &admin.url(), started);

    let started = Instant::now();
    let host = Host::installed();
    let mut gateway = Gateway::start_from(gateway::Settings {
        host,
        port: settings.gateway_port,
        control_port: ports::free()?,
        workers: settings.workers,
        admin: admin.address().parse()?,
        gateway_token: tokens.gateway.clone(),
        upstream: upstream.address(),
        services: vec![Service::new(SERVICE, service, "/")],
        issuers: Vec::new(),
        folder: data.join("gateway"),
    })
    .await?;
    gateway.wait_until_synced().await?;
    ready(&format!("gateway ({})", host.name()), &gateway.url(), started);

    println!("\nlogs: {}, {}", data.join("admin.log").display(), data.join("gateway/gateway.log").display());
    println!("{}", lines_to_copy(&admin, &gateway, service));
    println!("\nCtrl-C stops everything.");
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        admin.check_alive()?;
        gateway.check_alive()?;
    }
}

fn ready(what: &str, url: &str, since: Instant) {
    println!("{what:<18} {url:<24} ready after {:.1} s", since.elapsed().as_secs_f32());
}

/// The service's id, registering it at the first start.
async fn register_service(admin: &Admin) -> Result<Uuid> {
    let known = admin.client().get(&format!("/services/{SERVICE}")).await?;
    let answer = match known.status {
        404 => admin.client().post("/services", &json!({"name": SERVICE})).await?,
        401 | 403 => bail!("APP_AUTH_ADMIN_TOKEN: this data folder was set up with another admin token"),
        _ => known,
    };
    ensure!(
        [200, 201].contains(&answer.status),
        "cannot register the service: {} {}",
        answer.status,
        answer.text()
    );
    Ok(answer.field("id")?.parse()?)
}

/// Shell lines that take an application from nothing to 200 and back to 403. Fresh names make them work at any start.
fn lines_to_copy(admin: &Admin, gateway: &Gateway, service: Uuid) -> String {
    let suffix = &Uuid::new_v4().simple().to_string()[..8];
    let (application, connection) = (Uuid::new_v4(), Uuid::new_v4());
    let developer = format!("/developers/developer-{suffix}@example.com");
    let instances = format!("{developer}/applications/{application}/application_instances");
    let curl = "curl -sS -w '\\n' -H \"Kong-Admin-Token: $TOKEN\" -H 'Prefer: wait=5'";
    let call = format!("curl -sS -i -w '\\n' $GATEWAY/hello -H 'apikey: key-{suffix}'");
    let lines = [
        format!("export TOKEN={}", admin.admin_token()),
        format!("export ADMIN={} GATEWAY={}", admin.url(), gateway.url()),
        String::new(),
        "# a second service (the gateway above protects `echo`)".into(),
        format!("{curl} $ADMIN/services -d name=service-{suffix}"),
        "# a developer, an application with a key, a connection to `echo`".into(),
        format!(
            "{curl} $ADMIN/developers -d email=developer-{suffix}@example.com -d meta.full_name=Developer -d status=0"
        ),
        format!(
            "{curl} $ADMIN{developer}/applications -d id={application} -d name=application-{suffix} \
             -d redirect_uri=https://application.example.com/callback"
        ),
        format!(
            "{curl} $ADMIN{developer}/applications/{application}/credentials/key-auth -d key=key-{suffix}"
        ),
        format!("{curl} $ADMIN{instances} -d id={connection} -d service.id={service}"),
        "# pending: 403".into(),
        call.clone(),
        "# approve: 200, and the upstream shows the identity headers".into(),
        format!("{curl} -X PATCH $ADMIN{instances}/{connection} -d status=0"),
        call.clone(),
        "# revoke: 403 at once".into(),
        format!("{curl} -X PATCH $ADMIN{instances}/{connection} -d status=3"),
        call,
    ];
    format!("\n{}", lines.join("\n"))
}
