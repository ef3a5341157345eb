//! The connections that are followed, in the order of their last packets.

use std::collections::HashMap;

use super::connection::Connection;
use super::link::Endpoint;

/// Both ends of a connection, the smaller one first.
pub(super) type Key = [Endpoint; 2];

type Slot = u32;

const NONE: Slot = Slot::MAX;

#[derive(Debug)]
struct Node {
    key: Key,
    connection: Connection,
    newer: Slot,
    older: Slot,
}

/// The connections that are followed.
///
/// The map's hash is seeded: whoever chooses the addresses of a capture cannot slow it down.
#[derive(Debug)]
pub(super) struct Table {
    slots: HashMap<Key, Slot>,
    nodes: Vec<Node>,
    newest: Slot,
    oldest: Slot,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            slots: HashMap::new(),
            nodes: Vec::new(),
            newest: NONE,
            oldest: NONE,
        }
    }
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A connection, which is now the one used last.
    #[inline]
    pub(super) fn touch(&mut self, key: &Key) -> Option<&mut Connection> {
        let newest = self.nodes.get(self.newest as usize);
        if newest.is_none_or(|node| node.key != *key) {
            let slot = *self.slots.get(key)?;
            self.unlink(slot);
            self.link(slot);
        }
        let node = self.nodes.get_mut(self.newest as usize)?;
        Some(&mut node.connection)
    }

    /// Add a connection that is not there, as the one used last.
    pub(super) fn add(&mut self, key: Key, connection: Connection) {
        let slot = self.nodes.len() as Slot;
        self.nodes.push(Node {
            key,
            connection,
            newer: NONE,
            older: NONE,
        });
        self.slots.insert(key, slot);
        self.link(slot);
    }

    /// Let another connection, which becomes the one used last, take the place of the one that is
    /// unused for longest: that one.
    pub(super) fn replace_oldest(
        &mut self,
        key: Key,
        connection: Connection,
    ) -> Option<Connection> {
        let slot = self.oldest;
        self.unlink(slot);
        let node = self.nodes.get_mut(slot as usize)?;
        self.slots.remove(&node.key);
        node.key = key;
        let old = std::mem::replace(&mut node.connection, connection);
        self.slots.insert(key, slot);
        self.link(slot);
        Some(old)
    }

    /// Take all connections, in the order of their numbers.
    pub(super) fn drain(&mut self) -> Vec<Connection> {
        let nodes = std::mem::take(self).nodes;
        let mut all: Vec<_> = nodes.into_iter().map(|node| node.connection).collect();
        all.sort_by_key(Connection::id);
        all
    }

    fn link(&mut self, slot: Slot) {
        let older = self.newest;
        self.newest = slot;
        if let Some(node) = self.nodes.get_mut(older as usize) {
            node.newer = slot;
        } else {
            self.oldest = slot;
        }
        if let Some(node) = self.nodes.get_mut(slot as usize) {
            (node.newer, node.older) = (NONE, older);
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(node) = self.nodes.get(slot as usize) else {
            return;
        };
        let (newer, older) = (node.newer, node.older);
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }
}
