//! The list of what an account owns, in pages as a real ledger keeps it.
//!
//! Owns: which page an object is on, and the links between the pages. May not: know what the objects are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::types::{AccountId, Hash, Origin, sha512_half};

/// Objects on a page.
const PAGE_OBJECTS_MAX: usize = 32;

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// The keys of the objects, in order.
    pub entries: BTreeSet<Hash>,
    next: u64,
    before: u64,
    /// The transaction that last changed it.
    pub origin: Origin,
}

impl Page {
    /// The fields that metadata shows of it.
    pub(super) fn fields(&self, owner: &AccountId) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("Flags".into(), json!(0));
        fields.insert("Owner".into(), json!(owner.to_string()));
        let root = owner.directory_index();
        fields.insert("RootIndex".into(), json!(root.to_string()));
        for (name, page) in [("IndexNext", self.next), ("IndexPrevious", self.before)] {
            if page != 0 {
                fields.insert(name.into(), json!(format!("{page:x}")));
            }
        }
        fields
    }

    fn holds_the_same(&self, other: &Self) -> bool {
        (&self.entries, self.next, self.before) == (&other.entries, other.next, other.before)
    }
}

/// All pages; page 0 is the root, whose link back is to the last page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directory {
    pages: BTreeMap<u64, Page>,
}

impl Directory {
    /// The key of a page in the ledger.
    pub(super) fn page_key(owner: &AccountId, page: u64) -> Hash {
        let root = owner.directory_index();
        if page == 0 {
            return root;
        }
        sha512_half(&[&[0x00, 0x64], &root.0, &page.to_be_bytes()])
    }

    /// Its pages in order of their numbers.
    pub(super) fn pages(&self) -> impl Iterator<Item = (u64, &Page)> {
        self.pages.iter().map(|(number, page)| (*number, page))
    }

    /// A page by its number.
    pub(super) fn page(&self, number: u64) -> Option<&Page> {
        self.pages.get(&number)
    }

    /// True if it names nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.pages.values().all(|page| page.entries.is_empty())
    }

    /// All keys, in the order in which servers list them.
    pub(super) fn keys(&self) -> impl Iterator<Item = (u64, Hash)> {
        self.pages()
            .flat_map(|(number, page)| page.entries.iter().map(move |key| (number, *key)))
    }

    /// The number of the page that names the object, as servers print it.
    pub(super) fn page_of(&self, key: &Hash) -> String {
        let named = self.pages().find(|(_, page)| page.entries.contains(key));
        format!("{:x}", named.map_or(0, |(number, _)| number))
    }

    /// Names an object, on a new page if the last one is full.
    pub(super) fn add(&mut self, key: Hash) {
        let last = self.pages.entry(0).or_default().before;
        let page = self.pages.entry(last).or_default();
        if page.entries.len() < PAGE_OBJECTS_MAX {
            page.entries.insert(key);
            return;
        }
        let number = last + 1;
        page.next = number;
        if let Some(root) = self.pages.get_mut(&0) {
            root.before = number;
        }
        // The second page does not point back to the root.
        let before = if number == 1 { 0 } else { last };
        let entries = BTreeSet::from([key]);
        self.pages.insert(
            number,
            Page {
                entries,
                before,
                ..Page::default()
            },
        );
    }

    /// Names it no longer. A root that names nothing stays if `keep_root`.
    pub(super) fn remove(&mut self, key: &Hash, keep_root: bool) {
        let found = self.pages().find(|(_, page)| page.entries.contains(key));
        let Some(number) = found.map(|(number, _)| number) else {
            return;
        };
        let Some(page) = self.pages.get_mut(&number) else {
            return;
        };
        page.entries.remove(key);
        if !page.entries.is_empty() {
            return;
        }
        if number != 0 {
            let (before, next) = (page.before, page.next);
            self.pages.remove(&number);
            // The last page's link on leads to the root, whose link back leads to the last page.
            if let Some(page) = self.pages.get_mut(&before) {
                page.next = next;
            }
            if let Some(page) = self.pages.get_mut(&next) {
                page.before = before;
            }
        }
        let root_is_alone = self.pages.len() == 1;
        let root_is_empty = self
            .pages
            .get(&0)
            .is_some_and(|root| root.entries.is_empty());
        if root_is_alone && root_is_empty && !keep_root {
            self.pages.clear();
        }
    }

    /// Says of each page that is not as before which transaction made it so.
    pub(super) fn stamp(&mut self, before: Option<&Self>, origin: Origin) {
        for (number, page) in &mut self.pages {
            let old = before.and_then(|before| before.page(*number));
            if old.is_none_or(|old| !old.holds_the_same(page)) {
                page.origin = origin;
            }
        }
    }

    /// Numbers of the pages that differ.
    pub(super) fn differing(&self, other: &Self) -> Vec<u64> {
        let numbers: BTreeSet<u64> = self
            .pages
            .keys()
            .chain(other.pages.keys())
            .copied()
            .collect();
        let same = |number: &u64| match (self.page(*number), other.page(*number)) {
            (Some(page), Some(other)) => page.holds_the_same(other),
            _ => false,
        };
        numbers.into_iter().filter(|number| !same(number)).collect()
    }
}
