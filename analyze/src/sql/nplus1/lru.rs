//! Which of a limited number of connections was used when.

use rustc_hash::FxHashMap;

/// A connection's place.
pub(super) type Slot = u32;

const NONE: Slot = Slot::MAX;

/// Connections by their number, in the order of their last use.
#[derive(Debug, Clone)]
pub(super) struct Lru<T> {
    places: FxHashMap<u64, Slot>,
    nodes: Vec<Node<T>>,
    free: Vec<Slot>,
    newest: Slot,
    oldest: Slot,
}

#[derive(Debug, Clone)]
struct Node<T> {
    id: u64,
    value: Option<T>,
    newer: Slot,
    older: Slot,
}

impl<T> Default for Lru<T> {
    fn default() -> Self {
        Self {
            places: FxHashMap::default(),
            nodes: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
        }
    }
}

impl<T> Lru<T> {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The connection `id`, which is now the one used last.
    #[inline]
    pub(super) fn touch(&mut self, id: u64) -> Option<&mut T> {
        let newest = self.nodes.get(self.newest as usize);
        if newest.is_none_or(|node| node.id != id) {
            let slot = *self.places.get(&id)?;
            self.unlink(slot);
            self.link(slot);
        }
        self.nodes.get_mut(self.newest as usize)?.value.as_mut()
    }

    /// Add a connection that is not there, as the one used last.
    pub(super) fn insert(&mut self, id: u64, value: T) {
        let node = Node {
            id,
            value: Some(value),
            newer: NONE,
            older: NONE,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.nodes[slot as usize] = node;
                slot
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as Slot
            }
        };
        self.places.insert(id, slot);
        self.link(slot);
    }

    /// Remove the connection that is unused for longest.
    pub(super) fn pop(&mut self) -> Option<(u64, T)> {
        let id = self.nodes.get(self.oldest as usize)?.id;
        Some((id, self.remove(id)?))
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<T> {
        let slot = self.places.remove(&id)?;
        self.unlink(slot);
        self.free.push(slot);
        self.nodes.get_mut(slot as usize)?.value.take()
    }

    /// All of them, the one unused for longest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let mut at = self.oldest;
        std::iter::from_fn(move || {
            let node = self.nodes.get(at as usize)?;
            at = node.newer;
            Some((node.id, node.value.as_ref()?))
        })
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(Node { newer, older, .. }) = self.nodes.get(slot as usize) else {
            return;
        };
        let (newer, older) = (*newer, *older);
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link(&mut self, slot: Slot) {
        let before = self.newest;
        if let Some(node) = self.nodes.get_mut(slot as usize) {
            node.newer = NONE;
            node.older = before;
        }
        match self.nodes.get_mut(before as usize) {
            Some(node) => node.newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
    }
}
