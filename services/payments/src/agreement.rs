//! Agreement: what several servers say of one thing, and whether enough of them say the same.
//!
//! Owns: which ledger counts as validated, who contradicts what was agreed, and when nothing may be decided at all. May not:
//! make a proof; [`Quorum`] does, of the readings that were found to agree here. Nothing in here counts time or messages.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use xrpl_tx::Hash256;

use crate::proof::{NoProof, Quorum, Source};
use crate::{LedgerIndex, LedgerRef};

/// Words remembered of one server: several minutes of the network. Each server fills only its own memory, so one that
/// announces what does not exist pushes out nobody else's word.
const WORDS_PER_SERVER_MAX: usize = 64;

/// Agreed ledgers remembered, to hold later words against them.
const AGREED_MAX: usize = 256;

/// What came of comparing what servers said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sifted {
    /// Enough of them say the same.
    Agreed {
        /// Places of those who do.
        agreeing: Vec<usize>,
        /// Places of those who say otherwise: they are not to be believed.
        against: Vec<usize>,
    },
    /// Not enough of them say the same. It is waited for.
    Open(NoProof),
    /// Two groups, each large enough to be believed alone, contradict each other. Nothing is decided, and a person looks.
    Split,
}

/// Compares what servers say of one thing. The order of the words does not matter.
pub fn sift<T: PartialEq>(quorum: Quorum, said: &[(Source, T)]) -> Sifted {
    if xrpl_tx::mutant!("one-server-believed") && !said.is_empty() {
        return Sifted::Agreed {
            agreeing: vec![0],
            against: Vec::new(),
        };
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, (_, word)) in said.iter().enumerate() {
        match groups.iter_mut().find(|group| said[group[0]].1 == *word) {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    let sources = |group: &[usize]| group.iter().map(|place| said[*place].0.clone()).collect();
    let believed: Vec<&Vec<usize>> = groups
        .iter()
        .filter(|group| {
            let sources: Vec<Source> = sources(group);
            quorum.suffices(&sources)
        })
        .collect();
    match believed.as_slice() {
        [] if groups.is_empty() => Sifted::Open(NoProof::NotValidated),
        [] if groups.len() > 1 => Sifted::Open(NoProof::Contradiction),
        [] => Sifted::Open(NoProof::TooFew {
            have: operators(said.iter().map(|(source, _)| source)),
            need: quorum.operators(),
        }),
        [one] => Sifted::Agreed {
            agreeing: (*one).clone(),
            against: (0..said.len()).filter(|p| !one.contains(p)).collect(),
        },
        _ => Sifted::Split,
    }
}

fn operators<'a>(sources: impl Iterator<Item = &'a Source>) -> usize {
    let names: BTreeSet<&str> = sources.map(|source| source.operator.as_str()).collect();
    names.len()
}

/// Something that a word brought to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A server says something else of a ledger than was agreed on, or than it said itself before.
    Contradicts {
        /// Which server.
        server: usize,
        /// The ledger as it tells it.
        told: LedgerRef,
        /// Its hash as it is agreed, or as the server told it first.
        known: Hash256,
    },
    /// Two groups, each large enough to be believed alone, tell two ledgers of one index.
    Split {
        /// Which index.
        index: LedgerIndex,
    },
}

/// What servers said of validated ledgers, and what they agree on.
#[derive(Clone, Debug)]
pub struct Ledgers {
    quorum: Quorum,
    sources: Vec<Source>,
    /// Each server's words, oldest first.
    words: Vec<VecDeque<LedgerRef>>,
    /// Servers found not to tell the truth: their words decide nothing, but show how many say otherwise.
    distrusted: BTreeSet<usize>,
    agreed: BTreeMap<LedgerIndex, Hash256>,
    /// The highest that was agreed on by these words.
    newest: Option<LedgerRef>,
}

impl Ledgers {
    /// With nothing said yet. Servers are named by their places in `sources`.
    #[must_use]
    pub fn new(quorum: Quorum, sources: Vec<Source>) -> Self {
        Self {
            quorum,
            words: vec![VecDeque::new(); sources.len()],
            distrusted: BTreeSet::new(),
            sources,
            agreed: BTreeMap::new(),
            newest: None,
        }
    }

    /// A ledger that was agreed on before, in another life of this process. Words are held against it.
    pub fn recall(&mut self, ledger: LedgerRef) {
        self.agreed.entry(ledger.index).or_insert(ledger.hash);
    }

    /// Takes a server's word that a ledger is validated, and tells what follows for servers. A server that nobody configured
    /// is not heard.
    pub fn said(&mut self, server: usize, ledger: LedgerRef) -> Vec<Finding> {
        let Some(words) = self.words.get_mut(server) else {
            return Vec::new();
        };
        if let Some(before) = words.iter().find(|word| word.index == ledger.index) {
            // Its first word stands.
            let known = before.hash;
            return (known != ledger.hash)
                .then_some(Finding::Contradicts {
                    server,
                    told: ledger,
                    known,
                })
                .into_iter()
                .collect();
        }
        if words.len() >= WORDS_PER_SERVER_MAX {
            words.pop_front();
        }
        words.push_back(ledger);
        self.judge(ledger.index)
    }

    /// Whether a server's words decide. One that was found not to tell the truth is trusted again from its next word on.
    pub fn trust(&mut self, server: usize, trusted: bool) {
        if !trusted {
            self.distrusted.insert(server);
        } else if self.distrusted.remove(&server)
            && let Some(words) = self.words.get_mut(server)
        {
            words.clear();
        }
    }

    /// The highest ledger that enough servers told. It never goes back, and what is only recalled does not count.
    #[must_use]
    pub fn newest(&self) -> Option<LedgerRef> {
        self.newest
    }

    /// The newest ledger that a trusted server told.
    #[must_use]
    pub fn newest_of(&self, server: usize) -> Option<LedgerRef> {
        if self.distrusted.contains(&server) {
            return None;
        }
        let words = self.words.get(server)?;
        words.iter().max_by_key(|word| word.index).copied()
    }

    /// An index on which agreement is possible and not there, and the servers that have passed it without a word of it: they
    /// can be asked. `None`: there is nothing to ask.
    #[must_use]
    pub fn missing(&self) -> Option<(LedgerIndex, Vec<usize>)> {
        let mut newest: Vec<(LedgerIndex, &Source)> = (0..self.sources.len())
            .filter_map(|server| Some((self.newest_of(server)?.index, &self.sources[server])))
            .collect();
        newest.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
        // The highest index that enough of them have reached.
        let reached = (1..=newest.len()).find_map(|count| {
            let sources: Vec<Source> = newest[..count].iter().map(|(_, s)| (*s).clone()).collect();
            let index = newest[count - 1].0;
            self.quorum.suffices(&sources).then_some(index)
        })?;
        if self.newest().is_some_and(|agreed| agreed.index >= reached) {
            return None;
        }
        let silent: Vec<usize> = (0..self.sources.len())
            .filter(|server| self.newest_of(*server).is_some_and(|n| n.index >= reached))
            .filter(|server| !self.words[*server].iter().any(|w| w.index == reached))
            .collect();
        (!silent.is_empty()).then_some((reached, silent))
    }

    /// The newest index above what is agreed of which servers tell different ledgers, with neither believed.
    #[must_use]
    pub fn disputed(&self) -> Option<LedgerIndex> {
        let agreed = self.newest().map(|ledger| ledger.index);
        let mut told: BTreeMap<LedgerIndex, Hash256> = BTreeMap::new();
        let mut disputed = None;
        let words = self.words.iter().enumerate();
        let trusted = words.filter(|(server, _)| !self.distrusted.contains(server));
        for word in trusted.flat_map(|(_, words)| words) {
            if agreed.is_some_and(|agreed| word.index <= agreed) {
                continue;
            }
            if *told.entry(word.index).or_insert(word.hash) != word.hash {
                disputed = disputed.max(Some(word.index));
            }
        }
        disputed
    }

    fn judge(&mut self, index: LedgerIndex) -> Vec<Finding> {
        let mut who = Vec::new();
        let mut said = Vec::new();
        for (server, words) in self.words.iter().enumerate() {
            if let Some(word) = words.iter().find(|word| word.index == index) {
                who.push(server);
                said.push((self.sources[server].clone(), word.hash));
            }
        }
        let known = self.agreed.get(&index).copied();
        // Everybody counts for whether enough say otherwise, also who is not believed.
        let all = match sift(self.quorum, &said) {
            Sifted::Split => return vec![Finding::Split { index }],
            Sifted::Agreed { agreeing, .. } => Some(said[agreeing[0]].1),
            Sifted::Open(_) => None,
        };
        // What was decided by stands; that enough servers now tell another is for a person.
        if known.is_some() && all.is_some() && known != all {
            return vec![Finding::Split { index }];
        }
        let trusted: Vec<(Source, Hash256)> = who
            .iter()
            .zip(&said)
            .filter(|(server, _)| !self.distrusted.contains(server))
            .map(|(_, word)| word.clone())
            .collect();
        let now = match sift(self.quorum, &trusted) {
            Sifted::Agreed { agreeing, .. } => Some(trusted[agreeing[0]].1),
            Sifted::Open(_) | Sifted::Split => None,
        };
        let Some(hash) = known.or(now) else {
            return Vec::new();
        };
        if now.is_some() && self.newest.is_none_or(|newest| newest.index < index) {
            self.newest = Some(LedgerRef { index, hash });
        }
        self.agreed.insert(index, hash);
        while self.agreed.len() > AGREED_MAX {
            self.agreed.pop_first();
        }
        who.into_iter()
            .zip(&said)
            .filter(|(server, (_, told))| *told != hash && !self.distrusted.contains(server))
            .map(|(server, (_, told))| Finding::Contradicts {
                server,
                told: LedgerRef { index, hash: *told },
                known: hash,
            })
            .collect()
    }
}
