//! Where to listen.

use crate::failure::CommandFailure;
use crate::serve::listening::token::Gatekeeper;
use std::net::{SocketAddr, ToSocketAddrs};

/// Returns the address to listen on, which other machines may reach only if there is a token.
pub(crate) fn resolved(
    address: &str,
    guard: &Gatekeeper,
    example: &str,
) -> Result<SocketAddr, CommandFailure> {
    let bad = |why: String| {
        CommandFailure::usage(format!("\"{address}\" is no address to listen on: {why}"))
            .hint(format!("write it as {example}"))
    };
    let mut found = address
        .to_socket_addrs()
        .map_err(|error| bad(error.to_string()))?;
    let found = found
        .next()
        .ok_or_else(|| bad("it has no address".to_owned()))?;
    if !found.ip().is_loopback() && !guard.has_token() {
        return Err(CommandFailure::usage(format!(
            "other machines can reach {found}, and nobody would be asked who they are"
        ))
        .hint("name a file with a token: --token-file FILE"));
    }
    Ok(found)
}
