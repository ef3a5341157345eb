//! Pools of connections: one for each client, and one that all others of the shard share.

use std::collections::VecDeque;

use super::super::user::{Call, ClientId};
use super::{Active, Io};

/// A client's connections.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) idle: Vec<u32>,
    /// Connections that are not vacant.
    pub(super) open: usize,
    /// Calls that wait for a connection.
    pub(super) waiting: VecDeque<Waiting>,
    /// Nobody uses it any more.
    pub(super) is_gone: bool,
}

/// A call that found all connections of its client busy.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) active: Active,
    bytes: Box<[u8]>,
    first_part: usize,
}

impl Io {
    /// A new pool of connections.
    pub(in crate::engine) fn open_client(&mut self) -> ClientId {
        ClientId(self.free_clients.pop().unwrap_or_else(|| {
            self.clients.push(Client::default());
            (self.clients.len() - 1) as u32
        }))
    }

    /// Give a pool back. Calls that are still open on it are answered before it is used again.
    pub(in crate::engine) fn close_client(&mut self, ClientId(id): ClientId) {
        if id == ClientId::SHARED.0 {
            return;
        }
        let Some(client) = self.clients.get_mut(id as usize) else {
            return;
        };
        client.is_gone = true;
        for slot in std::mem::take(&mut client.idle) {
            self.close(slot);
        }
        self.forget_client(id);
    }

    /// Let the next owner have a pool that nobody uses and that has nothing open.
    pub(super) fn forget_client(&mut self, id: u32) {
        let client = &mut self.clients[id as usize];
        if client.is_gone && client.open == 0 && client.waiting.is_empty() {
            client.is_gone = false;
            self.free_clients.push(id);
        }
    }

    /// Send a call for the user in `seat`.
    pub(in crate::engine) fn call(&mut self, seat: u32, call: &Call<'_>) {
        let active = Active::new(seat, call);
        self.live_calls += 1;
        let client = &mut self.clients[call.client.0 as usize];
        match client.idle.pop() {
            Some(slot) => self.send_on(slot, active, call),
            None if call.client != ClientId::SHARED
                && client.open >= self.plan.client_connections =>
            {
                client.waiting.push_back(Waiting {
                    active,
                    bytes: call.bytes.into(),
                    first_part: call.first_part,
                });
            }
            None => self.open_for(active, call),
        }
    }

    /// Send what waited for a connection of its client that has become free.
    pub(in crate::engine) fn send_waiting(&mut self) {
        while let Some(id) = self.ready_clients.pop() {
            loop {
                let client = &mut self.clients[id as usize];
                let is_free = !client.idle.is_empty() || client.open < self.plan.client_connections;
                let Some(waiting) = is_free.then(|| client.waiting.pop_front()).flatten() else {
                    break;
                };
                let idle = client.idle.pop();
                let call = Call {
                    bytes: &waiting.bytes,
                    first_part: waiting.first_part,
                    ..Call::default()
                };
                match idle {
                    Some(slot) => self.send_on(slot, waiting.active, &call),
                    None => self.open_for(waiting.active, &call),
                }
            }
            self.forget_client(id);
        }
    }

    /// A connection of a client has become free.
    #[inline]
    pub(super) fn has_room(&mut self, client: u32) {
        let pool = &self.clients[client as usize];
        if !pool.waiting.is_empty() || pool.is_gone {
            self.ready_clients.push(client);
        }
    }
}
