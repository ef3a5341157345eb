//! Who sent what: exchanges to clients, by their session cookies first, else by connection.

use rustc_hash::{FxHashMap, FxHashSet};

use super::model::{Exchange, Payload};

/// The shortest value of a cookie that can be a session.
const SESSION_BYTES: usize = 8;

/// The same for a cookie that the capture does not show the setting of.
const OLD_SESSION_BYTES: usize = 16;

/// Assets that come so soon after a page are its own, in microseconds.
const PAGE_US: i64 = 5_000_000;

/// A browser.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Client {
    /// Its exchanges, in the order of time.
    pub(super) exchanges: Vec<usize>,
    /// Cookies that it had before the capture began.
    pub(super) cookies: Vec<(String, String)>,
}

/// Sets of what belongs together.
#[derive(Debug)]
pub(super) struct Sets(Vec<usize>);

impl Sets {
    pub(super) fn new(size: usize) -> Self {
        Self((0..size).collect())
    }

    pub(super) fn root(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    /// Put two together; the smaller root stays.
    pub(super) fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one.max(other)] = one.min(other);
    }
}

/// The cookies of a request.
fn cookies(exchange: &Exchange) -> impl Iterator<Item = (&str, &str)> {
    let headers = exchange.headers.iter();
    let values = headers.filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let pairs = values.flat_map(|(_, value)| value.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('='))
}

/// The cookies that a reply sets.
fn set_cookies(exchange: &Exchange) -> impl Iterator<Item = (&str, &str)> {
    let values = exchange.set_cookies.iter();
    let pairs = values.filter_map(|value| value.split(';').next());
    pairs.filter_map(|pair| pair.trim().split_once('='))
}

/// Cookie pairs that stand for one client each.
fn sessions<'e>(all: &'e [Exchange], chosen: &[usize]) -> FxHashSet<(&'e str, &'e str)> {
    let mut set: FxHashMap<(&str, &str), u32> = FxHashMap::default();
    let mut sent = FxHashSet::default();
    for &at in chosen {
        let exchange = &all[at];
        let had: FxHashSet<_> = cookies(exchange).collect();
        for pair in set_cookies(exchange).filter(|pair| !had.contains(pair)) {
            *set.entry(pair).or_default() += 1;
        }
        sent.extend(had);
    }
    let is_session = |pair: &(&str, &str)| match set.get(pair) {
        // What many are given alike is a setting.
        Some(times) => *times == 1 && pair.1.len() >= SESSION_BYTES,
        None => pair.1.len() >= OLD_SESSION_BYTES,
    };
    sent.into_iter().filter(is_session).collect()
}

/// Group exchanges, which are in the order of time.
pub(super) fn clients(all: &[Exchange], chosen: &[usize]) -> Vec<Client> {
    let sessions = sessions(all, chosen);
    let mut sets = Sets::new(chosen.len());
    let mut is_known = vec![false; chosen.len()];
    let mut owner: FxHashMap<(&str, &str), usize> = FxHashMap::default();
    for (at, &exchange) in chosen.iter().enumerate() {
        let exchange = &all[exchange];
        for pair in cookies(exchange).chain(set_cookies(exchange)) {
            if sessions.contains(&pair) {
                sets.join(at, *owner.entry(pair).or_insert(at));
                is_known[at] = true;
            }
        }
    }
    by_connection(all, chosen, &mut sets, &is_known);
    assets(all, chosen, &mut sets);
    let mut clients: Vec<Client> = Vec::new();
    let mut numbers: FxHashMap<usize, usize> = FxHashMap::default();
    let mut given: FxHashSet<(&str, &str)> = FxHashSet::default();
    for (at, &exchange) in chosen.iter().enumerate() {
        let number = *numbers.entry(sets.root(at)).or_insert_with(|| {
            clients.push(Client::default());
            clients.len() - 1
        });
        let client = &mut clients[number];
        client.exchanges.push(exchange);
        for pair in cookies(&all[exchange]).filter(|pair| sessions.contains(pair)) {
            if given.insert(pair) {
                client.cookies.push((pair.0.to_owned(), pair.1.to_owned()));
            }
        }
        given.extend(set_cookies(&all[exchange]));
    }
    clients
}

/// Exchanges without a session go to the one of their connection; to each other where it has none; and
/// where it has several, as behind a proxy, to what the proxy says of the client.
fn by_connection(all: &[Exchange], chosen: &[usize], sets: &mut Sets, is_known: &[bool]) {
    let mut roots: FxHashMap<u64, FxHashSet<usize>> = FxHashMap::default();
    for (at, &exchange) in chosen.iter().enumerate() {
        if is_known[at] {
            let root = sets.root(at);
            roots
                .entry(all[exchange].connection)
                .or_default()
                .insert(root);
        }
    }
    let mut first: FxHashMap<u64, usize> = FxHashMap::default();
    let mut forwarded: FxHashMap<(&str, &str), usize> = FxHashMap::default();
    for (at, &exchange) in chosen.iter().enumerate() {
        if is_known[at] {
            continue;
        }
        let exchange = &all[exchange];
        let connection = exchange.connection;
        let of_connection = roots.get(&connection);
        let proxied = ["x-forwarded-for", "x-real-ip"]
            .iter()
            .find_map(|name| exchange.header(name));
        let with = match (of_connection.map_or(0, FxHashSet::len), proxied) {
            (1, _) => of_connection.and_then(|roots| roots.iter().next().copied()),
            (_, Some(address)) => {
                let agent = exchange.header("user-agent").unwrap_or_default();
                Some(*forwarded.entry((address, agent)).or_insert(at))
            }
            _ => Some(*first.entry(connection).or_insert(at)),
        };
        if let Some(with) = with {
            sets.join(at, with);
        }
    }
}

/// Who fetches nothing but assets is the one who has just loaded a page.
fn assets(all: &[Exchange], chosen: &[usize], sets: &mut Sets) {
    let mut others: FxHashSet<usize> = FxHashSet::default();
    for (at, &exchange) in chosen.iter().enumerate() {
        if !all[exchange].is_asset() {
            others.insert(sets.root(at));
        }
    }
    let mut pages: FxHashMap<(std::net::IpAddr, &str), (usize, i64)> = FxHashMap::default();
    for (at, &exchange) in chosen.iter().enumerate() {
        let exchange = &all[exchange];
        let agent = exchange.header("user-agent").unwrap_or_default();
        let who = (exchange.client, agent);
        if exchange.reply == Payload::Page {
            pages.insert(who, (at, exchange.began_us));
        } else if exchange.is_asset()
            && !others.contains(&sets.root(at))
            && let Some(&(page, began_us)) = pages.get(&who)
            && exchange.began_us - began_us < PAGE_US
        {
            let root = sets.root(page);
            sets.join(at, page);
            let joined = sets.root(page);
            if others.contains(&root) {
                others.insert(joined);
            }
        }
    }
}
