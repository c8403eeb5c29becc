//! A real browser without a window: Chromium, driven through its WebDriver (W3C WebDriver 2), with the few words that
//! scenarios need. Elements are named by CSS selectors; what is waited for is waited for by looking, not by sleeping.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, ensure};
use fantoccini::elements::Element;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::{binaries, ports, wait};

/// A running browser with one page open. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    process: Process,
    axe: String,
    // Its profile; gone after it.
    _folder: TempDir,
}

/// A command of Chromium's own protocol, which WebDriver passes on.
#[derive(Debug)]
struct Chromium {
    command: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for Chromium {
    fn endpoint(
        &self,
        base_url: &url::Url,
        session_id: Option<&str>,
    ) -> std::result::Result<url::Url, url::ParseError> {
        base_url.join(&format!("session/{}/goog/cdp/execute", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (axum::http::Method, Option<String>) {
        let body = json!({ "cmd": self.command, "params": self.parameters });
        (axum::http::Method::POST, Some(body.to_string()))
    }
}

impl Browser {
    pub async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("app-auth-browser-").tempdir()?;
        let port = ports::free()?;
        let mut command = Command::new(binaries::chromedriver()?);
        command.arg(format!("--port={port}"));
        let process = Process::start("chromedriver", command, &folder.path().join("chromedriver.log"))?
            .stopped_by(rustix::process::Signal::TERM);
        let profile = folder.path().join("profile");
        let arguments = [
            "--headless".to_owned(),
            // The tests may run as root, and visit pages of their own only.
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--disable-quic".to_owned(),
            // It ends with its driver.
            "--remote-debugging-pipe".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--window-size=1280,900".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        let options = json!({ "binary": binaries::chromium()?, "args": arguments });
        let capabilities = Capabilities::from_iter([("goog:chromeOptions".to_owned(), options)]);
        let url = format!("http://127.0.0.1:{port}");
        let ready = async || {
            let listening = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
            Ok(listening.is_ok())
        };
        wait::until("chromedriver to listen", ready).await.with_context(|| process.log_tail())?;
        let client = ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&url).await;
        let client = client.map_err(|error| anyhow!("no browser: {error}\n{}", process.log_tail()))?;
        let axe = fs::read_to_string(binaries::axe()?)?;
        Ok(Self { client, process, axe, _folder: folder })
    }

    /// Ends the browser in order.
    pub async fn close(self) -> Result<()> {
        let Self { client, process, .. } = self;
        client.close().await?;
        drop(process);
        Ok(())
    }

    pub async fn goto(&self, url: &str) -> Result<()> {
        Ok(self.client.goto(url).await?)
    }

    /// The path and query it is at.
    pub async fn place(&self) -> Result<String> {
        let url = self.client.current_url().await?;
        Ok(url[url::Position::BeforePath..].to_owned())
    }

    pub async fn reload(&self) -> Result<()> {
        Ok(self.client.refresh().await?)
    }

    /// Waits for an element.
    pub async fn find(&self, selector: &str) -> Result<Element> {
        let found = self.client.wait().at_most(wait::GENEROUS).for_element(Locator::Css(selector)).await;
        match found {
            Ok(element) => Ok(element),
            Err(error) => Err(anyhow!("{selector}: {error}\n{}", self.text().await.unwrap_or_default())),
        }
    }

    /// Whether there is such an element now.
    pub async fn has(&self, selector: &str) -> Result<bool> {
        Ok(!self.client.find_all(Locator::Css(selector)).await?.is_empty())
    }

    /// The texts of all such elements now.
    pub async fn texts(&self, selector: &str) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for element in self.client.find_all(Locator::Css(selector)).await? {
            texts.push(element.text().await?);
        }
        Ok(texts)
    }

    pub async fn click(&self, selector: &str) -> Result<()> {
        let element = self.find(selector).await?;
        element.click().await.with_context(|| format!("cannot click {selector}"))
    }

    /// Clicks the link or button, in a part of the page, that says this.
    pub async fn press(&self, within: &str, label: &str) -> Result<()> {
        let pressed = wait::until("something to press", async || {
            // While the page changes, what was found may be gone again.
            Ok(self.try_press(within, label).await.unwrap_or(false))
        });
        match pressed.await {
            Ok(()) => Ok(()),
            Err(error) => {
                Err(error.context(format!("nothing in {within} says {label}:\n{}", self.text().await?)))
            }
        }
    }

    async fn try_press(&self, within: &str, label: &str) -> Result<bool> {
        for element in
            self.client.find_all(Locator::Css(&format!("{within} :is(a, button, summary)"))).await?
        {
            if element.text().await?.trim() == label {
                element.click().await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Types into a field, in place of what it holds.
    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.find(selector).await?;
        element.clear().await?;
        Ok(element.send_keys(text).await?)
    }

    /// Chooses what a list offers, by its value.
    pub async fn choose(&self, selector: &str, value: &str) -> Result<()> {
        Ok(self.find(selector).await?.select_by_value(value).await?)
    }

    /// Types without a field.
    pub async fn keys(&self, keys: &str) -> Result<()> {
        Ok(self.find("body").await?.send_keys(keys).await?)
    }

    /// Types where the focus is.
    pub async fn focused_keys(&self, keys: &str) -> Result<()> {
        Ok(self.client.active_element().await?.send_keys(keys).await?)
    }

    /// The text of the page as a person sees it.
    pub async fn text(&self) -> Result<String> {
        Ok(self.client.find(Locator::Css("body")).await?.text().await?)
    }

    /// Waits until the page shows a text.
    pub async fn sees(&self, text: &str) -> Result<()> {
        let mut seen = String::new();
        let shows = async || {
            // The page may just be changing.
            seen = self.text().await.unwrap_or_default();
            Ok(seen.contains(text))
        };
        wait::until("the page to say something", shows)
            .await
            .with_context(|| format!("wanted {text:?}, saw:\n{seen}"))
    }

    /// Waits until the page no longer shows a text.
    pub async fn sees_no(&self, text: &str) -> Result<()> {
        let gone = async || Ok(!self.text().await.unwrap_or_else(|_| text.to_owned()).contains(text));
        wait::until("the page to stop saying something", gone).await.with_context(|| format!("saw {text:?}"))
    }

    pub async fn execute(&self, script: &str) -> Result<Value> {
        Ok(self.client.execute(script, Vec::new()).await?)
    }

    /// Looks for barriers (axe-core, all its rules): an error names each, and where it is.
    pub async fn check_barriers(&self) -> Result<()> {
        let loaded = self.execute("return typeof axe === 'object'").await?;
        if loaded != json!(true) {
            // In the page's own world, whose policy allows no scripts from elsewhere.
            self.execute(&self.axe).await?;
        }
        let run = "const done = arguments[arguments.length - 1]; \
            axe.run().then((found) => done(found.violations.map((violation) => violation.id + ': ' + violation.help + '\\n' + \
            violation.nodes.map((node) => '  ' + node.target + ' ' + node.failureSummary).join('\\n'))), \
            (error) => done([String(error)]));";
        let violations = self.client.execute_async(run, Vec::new()).await?;
        let violations: Vec<_> =
            violations.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let place = self.place().await?;
        ensure!(violations.is_empty(), "barriers at {place}:\n{}", violations.join("\n"));
        Ok(())
    }

    /// Shows pages as for somebody who prefers dark, or light, ones.
    pub async fn prefer_dark(&self, dark: bool) -> Result<()> {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.tell("Emulation.setEmulatedMedia", json!({ "features": features })).await
    }

    /// Lets pages run scripts, or not.
    pub async fn allow_scripts(&self, allow: bool) -> Result<()> {
        self.tell("Emulation.setScriptExecutionDisabled", json!({ "value": !allow })).await
    }

    /// Makes the window as large as this, in pixels of CSS.
    pub async fn resize(&self, width: u32, height: u32) -> Result<()> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tell("Emulation.setDeviceMetricsOverride", metrics).await
    }

    async fn tell(&self, command: &'static str, parameters: Value) -> Result<()> {
        self.client.issue_cmd(Chromium { command, parameters }).await?;
        Ok(())
    }

    /// A picture of the whole page in `target/screens/`, light and dark.
    pub async fn picture(&self, name: &str) -> Result<()> {
        let folder = screens()?;
        for (dark, theme) in [(false, "light"), (true, "dark")] {
            self.prefer_dark(dark).await?;
            let shot = Chromium {
                command: "Page.captureScreenshot",
                parameters: json!({ "format": "png", "captureBeyondViewport": true }),
            };
            let answer = self.client.issue_cmd(shot).await?;
            let data = answer["data"].as_str().context("no picture")?;
            fs::write(folder.join(format!("{name}-{theme}.png")), decode(data)?)?;
        }
        self.prefer_dark(false).await
    }
}

/// Where pictures go.
fn screens() -> Result<PathBuf> {
    let folder = binaries::workspace().join("target/screens");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn decode(base64_text: &str) -> Result<Vec<u8>> {
    use base64::Engine as _;
    Ok(base64::engine::general_purpose::STANDARD.decode(base64_text)?)
}
