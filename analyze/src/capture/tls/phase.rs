//! What a record does to its direction.

use super::direction::{Context, Direction, Need, Phase, Step};
use super::error::TlsError;
use super::facts::Early;
use super::handshake::{
    CLIENT_HELLO, ClientHello, ENCRYPTED_EXTENSIONS, END_OF_EARLY_DATA, EncryptedExtensions,
    FINISHED, KEY_UPDATE, Message, Messages, SERVER_HELLO, ServerHello,
};
use super::keylog::Label;
use super::limits::{EARLY_BYTES, SEARCH_BYTES, SEARCH_CREDIT};
use super::opener::{Epoch, Missing, Opener};
use super::record::{ALERT, Bad, CHANGE_CIPHER_SPEC, DATA, HANDSHAKE, HEARTBEAT, Record};
use super::search::Search;
use super::stream::{Side, TlsVersion};

/// The alert that says that nobody minds (RFC 8446, 6.1).
const USER_CANCELED: u8 = 90;

impl Direction {
    /// Do what the next record asks for.
    pub(super) fn step(
        &mut self,
        data: &[u8],
        context: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Step {
        match self.phase {
            Phase::Over if data.is_empty() => return Step::Short,
            Phase::Over => {
                self.counts.skipped_bytes += data.len() as u64;
                return Step::Used(data.len());
            }
            Phase::Search(_) => return self.search(data, context, out),
            _ => {}
        }
        let record = match Record::read(data) {
            Ok(Some(record)) => record,
            Ok(None) => return Step::Short,
            Err(bad) => return self.not_a_record(bad),
        };
        match self.phase {
            Phase::Clear => self.clear(&record, context),
            Phase::Keys(epoch) => self.keys(epoch, &record, context),
            _ => self.sealed(&record, context, out),
        }
    }

    /// Bytes that are no record: whatever was lost without a word, the next record may be found.
    fn not_a_record(&mut self, bad: Bad) -> Step {
        let (side, offset) = (self.side, self.offset);
        let error = match bad {
            Bad::SslV2 if offset == 0 => TlsError::SslV2,
            Bad::Dtls if offset == 0 => TlsError::Dtls,
            Bad::Length(bytes) => TlsError::RecordLength {
                side,
                offset,
                bytes,
            },
            Bad::NotTls | Bad::SslV2 | Bad::Dtls => TlsError::NotTls { side, offset },
        };
        let mut search = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Sealed(opener) => Box::new(Search::behind(opener)),
            Phase::Keys(epoch) => Box::new(Search::from_epoch(epoch)),
            Phase::Clear if self.has_hello => Box::new(Search::from_clear()),
            _ => return Step::Hole(0, self.fail(error)),
        };
        search.look_around();
        self.messages = Messages::default();
        self.phase = Phase::Search(search);
        Step::Hole(0, error)
    }

    fn unexpected(&self, record: &Record<'_>) -> TlsError {
        TlsError::Unexpected {
            side: self.side,
            offset: self.offset,
            kind: record.kind(),
        }
    }

    fn clear(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> Step {
        let total = record.total();
        let facts = &mut *context.facts;
        match record.kind() {
            HANDSHAKE => match self.hear_hellos(record.body, context) {
                Ok(()) => Step::Used(total),
                Err(error) => Step::Hole(total, self.fail(error)),
            },
            ALERT => self.alert(record.body, total, false),
            CHANGE_CIPHER_SPEC | DATA if !self.has_hello => {
                Step::Hole(total, self.fail(TlsError::NoHello(self.side)))
            }
            CHANGE_CIPHER_SPEC | DATA if facts.version.is_none() => Step::Waits(Need::Hello),
            CHANGE_CIPHER_SPEC => {
                if facts.version == Some(TlsVersion::Tls12) {
                    self.phase = Phase::Keys(Epoch::Tls12);
                }
                Step::Used(total)
            }
            DATA if facts.version == Some(TlsVersion::Tls13) && self.side == Side::Client => {
                if facts.is_retried && facts.client_hellos < 2 {
                    self.counts.early_bytes_skipped += total as u64;
                    return Step::Used(total);
                }
                if facts.server.is_none() {
                    return Step::Waits(Need::Hello);
                }
                self.phase = Phase::Keys(if facts.early == Early::None {
                    Epoch::Handshake
                } else {
                    Epoch::Early
                });
                Step::Used(0)
            }
            HEARTBEAT => Step::Used(total),
            _ => {
                let error = self.unexpected(record);
                Step::Hole(total, self.fail(error))
            }
        }
    }

    /// Messages in the clear.
    fn hear_hellos(&mut self, mut body: &[u8], context: &mut Context<'_>) -> Result<(), TlsError> {
        while let Some(message) = self.message(&mut body)? {
            let what = match (self.side, message.kind) {
                (Side::Client, CLIENT_HELLO) if context.facts.client_hellos >= 2 => "a third hello",
                (Side::Client, CLIENT_HELLO) => match ClientHello::read(&message.body) {
                    Some(hello) => {
                        context.facts.client_hello(hello);
                        self.has_hello = true;
                        continue;
                    }
                    None => "a damaged hello",
                },
                (Side::Server, SERVER_HELLO) if context.facts.server.is_some() => "a second hello",
                (Side::Server, SERVER_HELLO) => match ServerHello::read(&message.body) {
                    Some(hello) => {
                        context.facts.server_hello(hello)?;
                        self.has_hello = true;
                        if context.facts.version == Some(TlsVersion::Tls13)
                            && context.facts.server.is_some()
                        {
                            self.phase = Phase::Keys(Epoch::Handshake);
                            return Ok(());
                        }
                        continue;
                    }
                    None => "a damaged hello",
                },
                (_, CLIENT_HELLO | SERVER_HELLO) => "a hello of the other side",
                _ => continue,
            };
            return Err(self.bad_handshake(what));
        }
        Ok(())
    }

    fn message(&mut self, body: &mut &[u8]) -> Result<Option<Message>, TlsError> {
        self.messages
            .next(body)
            .map_err(|what| self.bad_handshake(what))
    }

    fn bad_handshake(&self, what: &'static str) -> TlsError {
        TlsError::Handshake {
            side: self.side,
            offset: self.offset,
            what,
        }
    }

    /// Look up the key of the record that comes.
    fn keys(&mut self, epoch: Epoch, record: &Record<'_>, context: &mut Context<'_>) -> Step {
        let total = record.total();
        if epoch != Epoch::Tls12 {
            match record.kind() {
                DATA => {}
                CHANGE_CIPHER_SPEC => return Step::Used(total),
                // Whoever has no keys yet complains in the clear.
                ALERT if record.body.len() == 2 => return self.alert(record.body, total, true),
                _ => return Step::Hole(total, self.unexpected(record)),
            }
        }
        if epoch == Epoch::Early
            && let Some(step) = self.early(context)
        {
            return step;
        }
        match Opener::find(epoch, self.side, context.facts, context.keys) {
            Ok(opener) => {
                self.phase = Phase::Sealed(Box::new(opener));
                self.messages = Messages::default();
                self.is_deaf = false;
                Step::Used(0)
            }
            Err(Missing::Hello) => Step::Waits(Need::Hello),
            Err(Missing::Secrets) => Step::Waits(Need::Secrets),
            Err(Missing::Unusable(error)) => Step::Hole(0, self.fail(error)),
            Err(Missing::Secret(label)) => {
                let later =
                    Opener::find(Epoch::Application, self.side, context.facts, context.keys);
                if epoch != Epoch::Handshake || later.is_err() {
                    return Step::Waits(Need::Secrets);
                }
                // The log is beyond the secret that it does not have.
                self.phase = Phase::Search(Box::new(Search::from_epoch(epoch)));
                Step::Hole(
                    0,
                    TlsError::NoSecret {
                        label: label.name(),
                        client_random: context.facts.prefix(),
                    },
                )
            }
        }
    }

    /// Decide what to do about early data. None to open them.
    fn early(&mut self, context: &mut Context<'_>) -> Option<Step> {
        let facts = &context.facts;
        let random = facts.client_random.unwrap_or_default();
        let is_refused = matches!(facts.early, Early::None | Early::Refused);
        if facts.early == Early::Offered && context.verdict_comes && !self.is_impatient {
            return Some(Step::Waits(Need::Verdict));
        }
        if !is_refused {
            if !context.keys.knows(&random) {
                return Some(Step::Waits(Need::Secrets));
            }
            if context.keys.secret(&random, Label::ClientEarly).is_some() {
                return None;
            }
        }
        self.skips_early = true;
        self.phase = Phase::Keys(Epoch::Handshake);
        Some(if facts.early == Early::Accepted {
            Step::Hole(0, TlsError::EarlyData(facts.prefix()))
        } else {
            Step::Used(0)
        })
    }

    fn sealed(
        &mut self,
        record: &Record<'_>,
        context: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Step {
        let total = record.total();
        let Phase::Sealed(opener) = &mut self.phase else {
            return Step::Short;
        };
        let is_tls12 = opener.epoch == Epoch::Tls12;
        match record.kind() {
            DATA => {}
            CHANGE_CIPHER_SPEC if is_tls12 => {
                let (side, offset) = (self.side, self.offset);
                let error = self.fail(TlsError::Renegotiation { side, offset });
                return Step::Hole(total, error);
            }
            CHANGE_CIPHER_SPEC => return Step::Used(total),
            ALERT if !is_tls12 && record.body.len() == 2 => {
                return self.alert(record.body, total, true);
            }
            _ if !is_tls12 => return Step::Hole(total, self.unexpected(record)),
            _ => {}
        }
        let start = out.len();
        if let Some(kind) = opener.open(record, out) {
            self.skips_early = false;
            return self.take(kind, start, record, context, out);
        }
        if self.skips_early {
            self.counts.early_bytes_skipped += total as u64;
            if self.counts.early_bytes_skipped > EARLY_BYTES {
                let error = self.undecryptable();
                return Step::Hole(total, self.fail(error));
            }
            return Step::Used(total);
        }
        self.recover(record, context, out)
    }

    pub(super) fn undecryptable(&self) -> TlsError {
        TlsError::Undecryptable {
            side: self.side,
            offset: self.offset,
        }
    }

    /// Do what a record asks for that was opened: its content is what `out` has from `start` on.
    pub(super) fn take(
        &mut self,
        kind: u8,
        start: usize,
        record: &Record<'_>,
        context: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Step {
        let total = record.total();
        self.counts.records += 1;
        let credit = SEARCH_CREDIT * total as u64;
        self.budget = SEARCH_BYTES.min(self.budget.saturating_add(credit));
        let Phase::Sealed(opener) = &self.phase else {
            return Step::Short;
        };
        let epoch = opener.epoch;
        if kind == DATA && epoch != Epoch::Handshake {
            self.counts.application_bytes += (out.len() - start) as u64;
            // No message has data in its middle (RFC 8446, 5.1): the next one begins a record.
            self.is_deaf = false;
            self.messages = Messages::default();
            return Step::Used(total);
        }
        let content = out.split_off(start);
        match kind {
            HANDSHAKE if epoch == Epoch::Tls12 || self.is_deaf => Step::Used(total),
            HANDSHAKE => match self.hear(&content, epoch, context) {
                Ok(()) => Step::Used(total),
                Err(error) => Step::Hole(total, self.fail(error)),
            },
            ALERT => self.alert(&content, total, epoch != Epoch::Tls12),
            HEARTBEAT => Step::Used(total),
            _ => Step::Hole(total, self.unexpected(record)),
        }
    }

    /// Messages of TLS 1.3 under encryption.
    fn hear(
        &mut self,
        mut content: &[u8],
        epoch: Epoch,
        context: &mut Context<'_>,
    ) -> Result<(), TlsError> {
        while let Some(message) = self.message(&mut content)? {
            // Keys change between records only: what is behind such a message is nothing.
            match (epoch, message.kind) {
                (Epoch::Handshake, ENCRYPTED_EXTENSIONS) => {
                    let found = EncryptedExtensions::read(&message.body)
                        .ok_or_else(|| self.bad_handshake("damaged extensions"))?;
                    context.facts.encrypted_extensions(found);
                }
                (Epoch::Early, END_OF_EARLY_DATA) => {
                    self.phase = Phase::Keys(Epoch::Handshake);
                    break;
                }
                (Epoch::Handshake, FINISHED) => {
                    self.phase = Phase::Keys(Epoch::Application);
                    break;
                }
                (Epoch::Application, KEY_UPDATE) => {
                    if let Phase::Sealed(opener) = &mut self.phase
                        && let Some(next) = opener.updated()
                    {
                        **opener = next;
                    }
                    break;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn alert(&mut self, body: &[u8], total: usize, is_tls13: bool) -> Step {
        const FATAL: u8 = 2;
        const CLOSE_NOTIFY: u8 = 0;
        let is_end = match *body {
            // The level has no meaning there (RFC 8446, 6).
            [_, description] if is_tls13 => description != USER_CANCELED,
            [level, description] => level == FATAL || description == CLOSE_NOTIFY,
            _ => false,
        };
        if is_end {
            self.phase = Phase::Over;
        }
        Step::Used(total)
    }
}
