//! Seats: how many of something there are at once, altogether and of one holder, so that one who takes all that he gets leaves some for
//! the others.
//!
//! Owns: counting. May not: wait; who gets no seat is sent away at once.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Bits of an IPv6 address that belong to one holder: whoever has one address of such a network has all of them.
const IPV6_HOLDER_BITS: u32 = 64;

/// Seats of one kind. Clones share them.
#[derive(Clone, Debug)]
pub struct Seats<K: Eq + Hash>(Arc<Inner<K>>);

#[derive(Debug)]
struct Inner<K: Eq + Hash> {
    all: usize,
    each: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K: Eq + Hash> {
    all: usize,
    by: HashMap<K, usize>,
}

/// One seat, until it is dropped.
#[derive(Debug)]
pub struct Seat<K: Eq + Hash> {
    seats: Seats<K>,
    holder: K,
}

impl<K: Eq + Hash + Clone> Seats<K> {
    /// `all` altogether, of which one holder has at most `each`.
    #[must_use]
    pub fn new(all: usize, each: usize) -> Seats<K> {
        let taken = Taken {
            all: 0,
            by: HashMap::new(),
        };
        Seats(Arc::new(Inner {
            all,
            each,
            taken: Mutex::new(taken),
        }))
    }

    /// `None`: all are taken, or all that this holder may have.
    #[must_use]
    pub fn take(&self, holder: &K) -> Option<Seat<K>> {
        let inner = &self.0;
        let mut taken = inner.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= inner.all {
            return None;
        }
        match taken.by.get_mut(holder) {
            Some(own) if *own >= inner.each => return None,
            Some(own) => *own += 1,
            None if inner.each == 0 => return None,
            None => {
                taken.by.insert(holder.clone(), 1);
            }
        }
        taken.all += 1;
        Some(Seat {
            seats: self.clone(),
            holder: holder.clone(),
        })
    }
}

impl<K: Eq + Hash> Drop for Seat<K> {
    fn drop(&mut self) {
        let taken = &self.seats.0.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(own) = taken.by.get_mut(&self.holder) {
            *own -= 1;
            if *own == 0 {
                taken.by.remove(&self.holder);
            }
        }
    }
}

/// Who is counted for an address.
#[must_use]
pub fn holder(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << (128 - IPV6_HOLDER_BITS));
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_than_his_part_and_all_together_no_more_than_there_are() {
        let seats = Seats::new(3, 2);
        let first = seats.take(&"a").unwrap();
        let _second = seats.take(&"a").unwrap();
        assert!(seats.take(&"a").is_none(), "a has his part");
        let _third = seats.take(&"b").unwrap();
        assert!(seats.take(&"c").is_none(), "all are taken");
        drop(first);
        assert!(seats.take(&"c").is_some());
        assert!(Seats::new(1, 0).take(&"a").is_none());
    }

    #[test]
    fn a_holder_who_has_left_is_forgotten() {
        let seats = Seats::new(10, 5);
        drop((0..100).filter_map(|n| seats.take(&n)).collect::<Vec<_>>());
        assert!(seats.0.taken.lock().unwrap().by.is_empty());
        assert_eq!(seats.0.taken.lock().unwrap().all, 0);
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_one_holder() {
        let of = |text: &str| holder(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
