//! Finds the migrations that the crate sqlxmq ships: it has no code that runs them, and says to
//! copy them.

use std::process::Command;

fn main() {
    // Offline needs the crates of the whole workspace, of which a machine that is new to it has
    // those of this runner alone.
    let output = metadata(&["--offline"]).or_else(|_| metadata(&["--locked"]));
    let output = output.unwrap_or_else(|said| panic!("cargo metadata: {said}"));
    let metadata: serde_json::Value =
        serde_json::from_slice(&output).expect("cargo metadata prints JSON");
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "sqlxmq")
        .and_then(|package| package["manifest_path"].as_str())
        .expect("sqlxmq is a dependency");
    let folder = std::path::Path::new(manifest).with_file_name("migrations");
    println!("cargo::rustc-env=SQLXMQ_MIGRATIONS={}", folder.display());
}

/// Returns what cargo prints about the packages that are built on this platform, or what it says
/// instead.
fn metadata(network: &[&str]) -> Result<Vec<u8>, String> {
    let cargo = std::env::var_os("CARGO").expect("cargo sets it");
    let target = std::env::var("TARGET").expect("cargo sets it");
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            &target,
        ])
        .args(network)
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
