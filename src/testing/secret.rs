//! What a throwaway server keeps of its password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Returns the secret that PostgreSQL stores for a password, for SCRAM-SHA-256 with *one* round
/// (RFC 5803, 7677).
///
/// The server does the rounds anew at each connection: hashing 4,096 times, its default, took a
/// tenth of the processor time of this project's tests. It slows down whoever guesses a password
/// that a person chose; ours has 122 random bits.
pub(crate) fn one_round(password: &str, salt: &[u8]) -> String {
    let first_block = [salt, &1_u32.to_be_bytes()].concat();
    let salted = hmac(password.as_bytes(), &first_block);
    let stored = Sha256::digest(hmac(&salted, b"Client Key"));
    let server = hmac(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256$1:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
    mac.chain_update(text).finalize().into_bytes().into()
}
