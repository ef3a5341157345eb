//! What belongs to whom: values that clients make up, and clients that hand values to each other.

use rustc_hash::{FxHashMap, FxHashSet};

use super::clients::{Client, Sets};
use super::limits::{CLIENTS, TEXTS};
use super::model::Exchange;
use super::places::{Got, Place, Sent, got, sent};

/// The values of all exchanges, by their number.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) sent: Vec<Vec<Sent>>,
    pub(super) got: Vec<Vec<Got>>,
}

impl Values {
    pub(super) fn of(all: &[Exchange]) -> Self {
        Self {
            sent: all.iter().map(sent).collect(),
            got: all.iter().map(got).collect(),
        }
    }
}

/// Names of fields whose values are kept as they are: nothing is made up there that must be unlike others.
const SECRETS: [&str; 6] = ["password", "passwd", "secret", "passphrase", "pin", "csrf"];

/// Words of routes that ask for what is there already.
const ASKING: [&str; 8] = [
    "login", "signin", "sign-in", "log-in", "auth", "session", "sessions", "search",
];

pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|secret| name.contains(secret))
}

/// Whether a request makes something, of which the target may want no second.
fn is_making(exchange: &Exchange) -> bool {
    let path = exchange.path().to_ascii_lowercase();
    exchange.method == "POST"
        && exchange.is_success()
        && !path.split('/').any(|word| ASKING.contains(&word))
}

/// Whether a text may be a name that the target wants to be the only one.
fn may_be_unique(sent: &Sent) -> bool {
    let name = sent.name.to_ascii_lowercase();
    let is_named = ["name", "title", "mail"]
        .iter()
        .any(|word| name.contains(word));
    matches!(sent.place, Place::Body(_) | Place::Form(_))
        && !sent.is_integer
        && !is_secret(&name)
        && (3..=64).contains(&sent.text.len())
        && sent.text.contains(|letter: char| letter.is_alphabetic())
        && (is_named || !sent.text.contains(char::is_whitespace))
        && !sent.text.contains("://")
}

/// Texts that one client alone made up, and which client that is.
pub(super) fn made_up(
    all: &[Exchange],
    clients: &[Client],
    values: &Values,
) -> FxHashMap<String, usize> {
    let mut makers: FxHashMap<&str, Option<usize>> = FxHashMap::default();
    let mut replied: FxHashSet<&str> = FxHashSet::default();
    for (client, at) in in_order(all, clients) {
        if is_making(&all[at]) {
            for sent in values.sent[at].iter().filter(|sent| may_be_unique(sent)) {
                if !replied.contains(&*sent.text) || makers.contains_key(&*sent.text) {
                    let maker = makers.entry(&sent.text).or_insert(Some(client));
                    // What many send is a word that all of them know.
                    if *maker != Some(client) {
                        *maker = None;
                    }
                }
            }
        }
        if replied.len() < TEXTS {
            let texts = values.got[at].iter().filter(|got| !got.is_integer);
            replied.extend(texts.map(|got| got.text.as_str()));
        }
    }
    let makers = makers.into_iter();
    makers
        .filter_map(|(text, maker)| Some((text.to_owned(), maker?)))
        .collect()
}

/// Exchanges with their clients, in the order of time.
fn in_order(all: &[Exchange], clients: &[Client]) -> Vec<(usize, usize)> {
    let mut order: Vec<(usize, usize)> = Vec::new();
    for (client, one) in clients.iter().enumerate() {
        order.extend(one.exchanges.iter().map(|&at| (client, at)));
    }
    order.sort_by_key(|&(_, at)| (all[at].began_us, at));
    order
}

/// Whether a text is so unlike others that who sends it has it from where it was seen.
fn is_token(text: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || "-_.=+/~".contains(letter);
    text.len() >= 8
        && text.chars().all(is_word)
        && text.contains(|letter: char| letter.is_ascii_digit())
        && text.contains(|letter: char| letter.is_ascii_alphabetic())
}

/// Put clients together that hand values to each other, as who invites and who joins: each list is a
/// user's clients, in the order in which they appear.
pub(super) fn users(
    all: &[Exchange],
    clients: &[Client],
    values: &Values,
    made: &FxHashMap<String, usize>,
) -> Vec<Vec<usize>> {
    let mut sets = Sets::new(clients.len());
    let mut sizes = vec![1; clients.len()];
    let mut first: FxHashMap<&str, usize> = FxHashMap::default();
    let mut own: FxHashSet<(usize, &str)> = FxHashSet::default();
    for (client, at) in in_order(all, clients) {
        for sent in &values.sent[at] {
            if sent.is_integer || is_secret(&sent.name) || own.contains(&(client, &*sent.text)) {
                continue;
            }
            let from = match made.get(&sent.text) {
                Some(maker) => Some(*maker),
                None if is_token(&sent.text) => first.get(&*sent.text).copied(),
                None => None,
            };
            let Some(from) = from.filter(|from| *from != client) else {
                continue;
            };
            let (one, other) = (sets.root(from), sets.root(client));
            if one != other && sizes[one] + sizes[other] <= CLIENTS {
                let size = sizes[one] + sizes[other];
                sets.join(one, other);
                sizes[one.min(other)] = size;
            }
        }
        if own.len() < TEXTS {
            for got in values.got[at].iter().filter(|got| !got.is_integer) {
                first.entry(&got.text).or_insert(client);
                own.insert((client, &got.text));
            }
        }
    }
    let mut users: Vec<Vec<usize>> = Vec::new();
    let mut numbers: FxHashMap<usize, usize> = FxHashMap::default();
    for client in 0..clients.len() {
        let number = *numbers.entry(sets.root(client)).or_insert_with(|| {
            users.push(Vec::new());
            users.len() - 1
        });
        users[number].push(client);
    }
    users
}
