//! Requests whose statements tell their id.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::limits::{REQUESTS, SHAPES_OF_REQUEST};

/// Routes and statements of requests by id. When there are more than 16,384 requests, those are kept
/// whose hash ends in enough zeros: which ones does not depend on the order, nor on how logs are split.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub struct RequestIds {
    /// How many zeros.
    zeros: u32,
    requests: FxHashMap<u64, Request>,
}

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) route: Option<u32>,
    /// In order, with how often.
    pub(super) shapes: Vec<(u32, u32)>,
}

impl RequestIds {
    /// A request of `route` has the id of this hash (any; 0 is none).
    #[inline]
    pub fn route(&mut self, id: u64, route: u32) {
        if let Some(request) = self.at(id) {
            // An id that is not unique belongs to nobody for sure: the smallest is as good as any.
            request.route = Some(request.route.map_or(route, |own| own.min(route)));
        }
    }

    /// A statement of `shape` names the request with the id of this hash.
    #[inline]
    pub fn statement(&mut self, id: u64, shape: u32) {
        if let Some(request) = self.at(id) {
            request.add(shape, 1);
        }
    }

    fn at(&mut self, id: u64) -> Option<&mut Request> {
        // Hashes of short numbers differ in few bits.
        let mixed = mix(id);
        if id == 0 || !is_kept(mixed, self.zeros) {
            return None;
        }
        if self.requests.len() >= REQUESTS && !self.requests.contains_key(&mixed) {
            self.requests.insert(mixed, Request::default());
            self.thin();
            return self.requests.get_mut(&mixed);
        }
        Some(self.requests.entry(mixed).or_default())
    }

    fn thin(&mut self) {
        while self.requests.len() > REQUESTS && self.zeros < u64::BITS {
            self.zeros += 1;
            let zeros = self.zeros;
            self.requests.retain(|id, _| is_kept(*id, zeros));
        }
    }

    /// Add what another part saw, whose routes and shapes have other numbers.
    pub fn merge(
        &mut self,
        other: &RequestIds,
        route: impl Fn(u32) -> u32,
        shape: impl Fn(u32) -> u32,
    ) {
        self.zeros = self.zeros.max(other.zeros);
        let zeros = self.zeros;
        self.requests.retain(|id, _| is_kept(*id, zeros));
        for (id, more) in &other.requests {
            if !is_kept(*id, zeros) {
                continue;
            }
            let own = self.requests.entry(*id).or_default();
            if let Some(more) = more.route.map(&route) {
                own.route = Some(own.route.map_or(more, |own| own.min(more)));
            }
            for (number, count) in &more.shapes {
                own.add(shape(*number), *count);
            }
        }
        self.thin();
    }

    /// The requests whose route is known, in an order of their own.
    pub(super) fn known(&self) -> impl Iterator<Item = (u32, &[(u32, u32)])> {
        let sorted: BTreeMap<_, _> = self.requests.iter().collect();
        let known = sorted.into_values();
        known.filter_map(|request| Some((request.route?, request.shapes.as_slice())))
    }
}

impl Request {
    fn add(&mut self, shape: u32, count: u32) {
        match self.shapes.binary_search_by_key(&shape, |it| it.0) {
            Ok(place) => {
                if let Some((_, own)) = self.shapes.get_mut(place) {
                    *own = own.saturating_add(count);
                }
            }
            Err(place) if self.shapes.len() < SHAPES_OF_REQUEST => {
                self.shapes.insert(place, (shape, count));
            }
            Err(_) => {}
        }
    }
}

fn is_kept(mixed: u64, zeros: u32) -> bool {
    mixed.trailing_zeros() >= zeros
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): each bit of the input changes half of the
/// output's.
fn mix(id: u64) -> u64 {
    let id = (id ^ id >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ id >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ id >> 31
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Saved {
    zeros: u32,
    requests: Vec<(u64, Request)>,
}

impl From<RequestIds> for Saved {
    fn from(ids: RequestIds) -> Self {
        let sorted: BTreeMap<_, _> = ids.requests.into_iter().collect();
        Self {
            zeros: ids.zeros,
            requests: sorted.into_iter().collect(),
        }
    }
}

impl From<Saved> for RequestIds {
    fn from(saved: Saved) -> Self {
        let mut ids = Self {
            zeros: saved.zeros,
            requests: FxHashMap::default(),
        };
        for (id, from) in saved.requests {
            let request = ids.requests.entry(id).or_default();
            request.route = from.route;
            for (shape, count) in from.shapes {
                request.add(shape, count);
            }
            ids.thin();
        }
        ids
    }
}
