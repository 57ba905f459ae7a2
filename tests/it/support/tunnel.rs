//! A way to a database that can fall silent: the proxy of users' tests, where a test of ours says
//! it in few words.

use super::wire::step;
use outtray::testing::Proxy;

/// A tunnel to a database.
pub(crate) struct Tunnel(Proxy);

impl Tunnel {
    /// Digs a tunnel to the server of `url`.
    pub(crate) fn to(url: &str) -> Tunnel {
        Tunnel(Proxy::before(url).unwrap())
    }

    /// Returns the URL that leads through the tunnel.
    pub(crate) fn url(&self) -> &str {
        self.0.url()
    }

    /// Carries nothing from now on.
    pub(crate) fn fall_silent(&self) {
        self.0.fall_silent();
    }

    /// Carries nothing from the moment on in which a client says the word, once.
    pub(crate) fn fall_silent_at(&self, word: &'static str) {
        self.0.fall_silent_at(step(word));
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.0.is_silent()
    }

    /// Carries all again, also what was said meanwhile.
    pub(crate) fn heal(&self) {
        self.0.heal();
    }

    /// Carries what is new, and forgets the connections that are there, without a word to either
    /// side.
    pub(crate) fn heal_forgetful(&self) {
        self.0.heal_forgetful();
    }

    /// Leads new connections to the server of `url`; those that are there stay.
    pub(crate) fn lead_to(&self, url: &str) {
        self.0.lead_to(url).unwrap();
    }

    /// Ends the connections that are there.
    pub(crate) fn cut(&self) {
        self.0.disconnect();
    }

    /// Returns how many connections came so far.
    pub(crate) fn accepted(&self) -> usize {
        self.0.accepted()
    }
}
