//! Which version of each system is measured: read from where the versions are pinned.

use crate::bed::Bed;
use crate::failure::Result;
use crate::system::{System, Version};
use serde_json::Value;

const LOCK: &str = include_str!("../Cargo.lock");
const NPM: &str = include_str!("../node/package.json");
const PYPI: &str = include_str!("../python/requirements.txt");

/// Returns the systems' versions, in their order; empty where there is none to tell.
pub fn all(bed: &mut Bed, systems: &[System]) -> Result<Vec<String>> {
    systems
        .iter()
        .map(|system| one(bed, system.version))
        .collect()
}

fn one(bed: &mut Bed, version: Version) -> Result<String> {
    let found = match version {
        Version::None => None,
        Version::Crate(name) => in_lock(name),
        Version::Npm(name) => in_package(name)?,
        Version::PyPi(name) => in_requirements(name),
        Version::Extension(name) => bed.extension(name)?,
    };
    Ok(found.unwrap_or_default())
}

fn in_lock(name: &str) -> Option<String> {
    let (_, rest) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split('"').next()?.to_owned())
}

fn in_package(name: &str) -> Result<Option<String>> {
    let package: Value = serde_json::from_str(NPM)?;
    Ok(package["dependencies"][name].as_str().map(str::to_owned))
}

fn in_requirements(name: &str) -> Option<String> {
    let lines = PYPI.lines().filter_map(|line| line.split_once("=="));
    let mut named = lines.filter(|(package, _)| package.split('[').next() == Some(name));
    named.next().map(|(_, version)| version.trim().to_owned())
}
