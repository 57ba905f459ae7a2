//! Carrying one connection, until it ends or its fault happens.

use crate::testing::proxy::carriage::Carriage;
use crate::testing::proxy::conversation::Conversation;
use crate::testing::proxy::step::{FaultAction, WireFault};
use crate::threads::mutex::Mutex;
use crate::threads::spawn;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

/// The end of the server's answers: it is ready for what comes next.
const READY: [u8; 5] = [b'Z', 0, 0, 0, 5];

/// One connection, seen from both its threads.
struct CarriedConnection {
    client: TcpStream,
    server: TcpStream,
    age: u64,
    shared: Arc<Carriage>,
    /// What happens once the server has done what it was asked; until then its answers are
    /// swallowed.
    after: Mutex<Option<FaultAction>>,
}

/// Carries one connection, by this thread and another.
pub(crate) fn carry(client: &TcpStream, shared: &Arc<Carriage>) {
    if let Ok(Some(line)) = connect(client, shared) {
        let (line, back) = (Arc::clone(&line), line);
        let name = "outtray-proxy-server".to_owned();
        if spawn(name, move || drop(back.carry_back())).is_ok() {
            let _ = line.carry_forth();
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// Connects a client with the server; `None` where it is not to be carried.
fn connect(
    client: &TcpStream,
    shared: &Arc<Carriage>,
) -> io::Result<Option<Arc<CarriedConnection>>> {
    let age = {
        let mut state = shared.lock();
        state.accepted += 1;
        state.sockets.push(client.try_clone()?);
        state.age
    };
    if shared.is_carried(age) != Some(true) {
        return Ok(None);
    }
    let Some(address) = shared.lock().server else {
        return Ok(None);
    };
    let server = TcpStream::connect(address)?;
    // Flights are small, and each is waited for.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    shared.lock().sockets.push(server.try_clone()?);
    Ok(Some(Arc::new(CarriedConnection {
        client: client.try_clone()?,
        server,
        age,
        shared: Arc::clone(shared),
        after: Mutex::default(),
    })))
}

impl CarriedConnection {
    /// Carries what the client says.
    fn carry_forth(&self) -> io::Result<()> {
        let mut conversation = Conversation::default();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = (&self.client).read(&mut buffer)?;
            if length == 0 {
                break;
            }
            let mut out = Vec::with_capacity(length);
            for said in conversation.hear(&buffer[..length]) {
                let fault = self
                    .shared
                    .take_fault(|step| conversation.is_at(step, &said));
                if let Some(fault) = fault
                    && !self.fail(&fault, &out)?
                {
                    return Ok(());
                }
                out.extend_from_slice(said.bytes());
                // What comes after the step in the same flight would tell a lie: the server is to
                // have done this, and no more.
                if said.is_answered() && self.after.lock().is_some() {
                    break;
                }
            }
            self.forward(&out)?;
        }
        if self.shared.is_carried(self.age) == Some(true) {
            let _ = self.server.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// Has a fault happen; `out` is what was said before its step. Returns whether to go on.
    fn fail(&self, fault: &WireFault, out: &[u8]) -> io::Result<bool> {
        match (fault.action, fault.is_before) {
            (FaultAction::FallSilent, _) => self.shared.fall_silent(),
            (action, false) => *self.after.lock() = Some(action),
            (action, true) => {
                // First of all: no answer may come through.
                let _ = self.client.shutdown(Shutdown::Both);
                self.forward(out)?;
                self.end(action);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn forward(&self, said: &[u8]) -> io::Result<()> {
        match self.shared.is_carried(self.age) {
            Some(true) => (&self.server).write_all(said),
            // Forgotten: nobody is told.
            Some(false) => Ok(()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Carries what the server says.
    fn carry_back(&self) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 16];
        // The last bytes that were swallowed: the end of the answers may be read in two pieces.
        let mut tail = Vec::new();
        loop {
            let length = (&self.server).read(&mut buffer).unwrap_or(0);
            let after = *self.after.lock();
            if let Some(action) = after {
                tail.extend_from_slice(&buffer[..length]);
                if length == 0 || is_ready(&tail) {
                    self.end(action);
                    return Ok(());
                }
                let kept = tail.len().saturating_sub(READY.len());
                tail.drain(..kept);
                continue;
            }
            if length == 0 {
                break;
            }
            match self.shared.is_carried(self.age) {
                Some(true) => (&self.client).write_all(&buffer[..length])?,
                Some(false) => {}
                None => break,
            }
        }
        if self.shared.is_carried(self.age) == Some(true) {
            let _ = self.client.shutdown(Shutdown::Both);
        }
        Ok(())
    }

    fn end(&self, action: FaultAction) {
        if action == FaultAction::Abort {
            std::process::abort();
        }
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

/// Returns whether answers end here: a message of five bytes and the state of the transaction.
fn is_ready(tail: &[u8]) -> bool {
    let last = tail.len().checked_sub(READY.len() + 1);
    last.is_some_and(|at| tail[at..].starts_with(&READY))
}
