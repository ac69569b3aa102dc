//! Gather: one question to several servers at the same time.
//!
//! Owns: how long is waited for whom. May not: compare the answers, or ask twice.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::Member;

/// Who is later than the others by so much is not waited for, once enough have answered: long enough that in health all are
/// heard, and one that says something else shows.
const GRACE: Duration = Duration::from_millis(200);

/// What a server answered.
#[derive(Debug)]
pub struct Heard<T> {
    /// Who.
    pub member: Member,
    /// What.
    pub said: T,
}

/// Asks all of them. Waits until all have answered, or `enough` is satisfied and the late ones had their grace, and no longer
/// than `patience`. The answers come in the order of the servers, whoever was first.
pub async fn gather<T, F: Future<Output = T>>(
    members: Vec<Member>,
    question: impl Fn(Member) -> F,
    enough: impl Fn(&[Heard<T>]) -> bool,
    patience: Option<Duration>,
) -> Vec<Heard<T>> {
    let mut open: FuturesUnordered<_> = members
        .into_iter()
        .map(|member| {
            let answer = question(member.clone());
            async move {
                let said = answer.await;
                Heard { member, said }
            }
        })
        .collect();
    let mut heard = Vec::new();
    let first = async {
        while let Some(answer) = open.next().await {
            heard.push(answer);
            if enough(&heard) {
                break;
            }
        }
    };
    match patience {
        // Who has answered by then has answered.
        Some(patience) => {
            let _late = tokio::time::timeout(patience, first).await;
        }
        None => first.await,
    }
    let rest = async {
        while let Some(answer) = open.next().await {
            heard.push(answer);
        }
    };
    // Who is late has said nothing.
    let _late = tokio::time::timeout(GRACE, rest).await;
    heard.sort_by_key(|answer| answer.member.number);
    heard
}
