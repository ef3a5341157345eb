//! Which message types cannot be told apart by their bytes.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::tables::{EnumTable, Field, MessageTable, Tables};
use crate::schema::Message;

impl Message {
    /// Whether two types cannot be told apart on the wire: the same field numbers, kinds and labels
    /// (repeated, packed, with presence, required), with enums of the same numbers and messages that
    /// are alike in turn. Names do not count, nor does which oneof a field is in. The other type may
    /// be of another schema.
    pub fn is_like(&self, other: &Message) -> bool {
        if self == other {
            return true;
        }
        // Pairs are taken to be alike until they are found not to be, which ends every cycle.
        let mut taken = HashSet::from([(self.index(), other.index())]);
        let mut open = vec![(self.index(), other.index())];
        while let Some((ours, theirs)) = open.pop() {
            let ours = &self.tables().messages[ours as usize];
            let theirs = &other.tables().messages[theirs as usize];
            if ours.fields.len() != theirs.fields.len() {
                return false;
            }
            for (a, b) in ours.fields.iter().zip(&theirs.fields) {
                if own(self.tables(), a) != own(other.tables(), b) {
                    return false;
                }
                if a.kind.is_message() && taken.insert((a.sub, b.sub)) {
                    open.push((a.sub, b.sub));
                }
            }
        }
        true
    }

    /// A number that types of one schema share when they are alike by [`Message::is_like`], and do not
    /// share otherwise, but for the collisions a 64-bit hash has. It means nothing to other schemas.
    pub fn shape(&self) -> u64 {
        let tables = self.tables();
        let shapes = tables.shapes.get_or_init(|| shapes(tables));
        shapes[self.index() as usize]
    }
}

/// What of a field shows on the wire, but for the messages in it.
fn own<'t>(tables: &'t Tables, field: &Field) -> (u32, u8, [bool; 5], Numbers<'t>) {
    let labels = [
        field.repeated,
        field.packed,
        field.presence,
        field.required,
        field.utf8,
    ];
    let numbers = (field.kind == super::tables::Kind::Enum).then(|| tables.enumeration(field));
    (field.number, field.kind as u8, labels, Numbers(numbers))
}

/// The numbers of an enum.
struct Numbers<'t>(Option<&'t EnumTable>);

impl Numbers<'_> {
    fn each(&self) -> impl Iterator<Item = i32> {
        let values = self.0.iter().flat_map(|table| &table.values);
        values.map(|value| value.number)
    }
}

impl PartialEq for Numbers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.map(|table| table.closed) == other.0.map(|table| table.closed)
            && self.each().eq(other.each())
    }
}

impl Hash for Numbers<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.map(|table| table.closed).hash(state);
        self.each().for_each(|number| number.hash(state));
    }
}

/// The shape of every type: each round tells types apart one level deeper, until none splits further.
fn shapes(tables: &Tables) -> Vec<u64> {
    let owns: Vec<Vec<u64>> = tables
        .messages
        .iter()
        .map(|table| {
            let fields = table.fields.iter();
            fields.map(|field| hash(&own(tables, field))).collect()
        })
        .collect();
    let mut shapes: Vec<u64> = owns.iter().map(hash).collect();
    let mut kinds = count(&shapes);
    loop {
        let next: Vec<u64> = tables
            .messages
            .iter()
            .zip(&owns)
            .zip(&shapes)
            .map(|((table, owns), shape)| hash(&(shape, owns, below(table, &shapes))))
            .collect();
        let more = count(&next);
        if more <= kinds {
            return next;
        }
        (shapes, kinds) = (next, more);
    }
}

fn below(table: &MessageTable, shapes: &[u64]) -> Vec<u64> {
    let messages = table.fields.iter().filter(|field| field.kind.is_message());
    messages.map(|field| shapes[field.sub as usize]).collect()
}

fn count(shapes: &[u64]) -> usize {
    shapes.iter().collect::<HashSet<_>>().len()
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
