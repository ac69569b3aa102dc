//! Letting sending go on after a freeze.
//!
//! Owns: that a person sees what froze it, and says so twice. May not: acknowledge a transaction that the person did not name.

use std::io::{self, IsTerminal as _};

use paygate_client::proto::{Freeze, UnfreezeRequest};
use serde_json::{Value, json as object};

use super::args::Unfreeze;
use super::exit::Exit;
use super::failure::Asked;
use super::out::{Tone, clean, fields, note};
use super::run::Context;
use super::{json, show};

/// The word that lets sending go on.
const CONSENT: &str = "yes";

/// Unfreezes, if the person still wants to once what froze it is on the screen.
pub(crate) async fn unfreeze(context: &Context, asked: Unfreeze) -> Exit {
    let freeze = match context.client.status().await {
        Ok(status) => status.freeze.unwrap_or_default(),
        Err(error) => return context.failed(&error, Asked::Read),
    };
    if !freeze.active {
        if !context.out.is_json() {
            note("sending is not frozen; nothing was changed");
        }
        return finished(context, &freeze);
    }
    if !asked.yes {
        note(about(&freeze, &asked).trim_end());
        if !io::stdin().is_terminal() {
            note(
                "paygatectl: nobody can be asked here: look at what froze it, then repeat with --yes. Nothing was changed.",
            );
            return Exit::Usage;
        }
        note(format_args!("Let sending go on? Type {CONSENT}:"));
        if !consents(&mut io::stdin().lock()) {
            note("Nothing was changed; sending stays frozen.");
            return Exit::Otherwise;
        }
    }
    let request = UnfreezeRequest {
        reason: asked.reason,
        acknowledged_tx_hashes: asked.acknowledge,
    };
    match context.client.unfreeze(request).await {
        Ok(answer) => finished(context, &answer.freeze.unwrap_or_default()),
        Err(error) => context.failed(&error, Asked::Unfreeze),
    }
}

fn finished(context: &Context, freeze: &Freeze) -> Exit {
    let exit = if freeze.active {
        Exit::Undecided
    } else {
        Exit::Done
    };
    context.show(
        exit,
        || {
            let (tone, words) = if freeze.active {
                (Tone::Bad, "sending is frozen")
            } else {
                (Tone::Good, "sending goes on")
            };
            format!("{}\n", context.out.paint(tone, words))
        },
        || shown(freeze),
    )
}

fn shown(freeze: &Freeze) -> Value {
    object!({ "freeze": { "active": freeze.active, "reason": freeze.reason, "since": json::time(&freeze.since) } })
}

/// What froze it, and what is about to be said about that.
fn about(freeze: &Freeze, asked: &Unfreeze) -> String {
    let mut text = fields(&[
        ("frozen", show::time(&freeze.since)),
        ("because", clean(&freeze.reason)),
        ("your reason", clean(&asked.reason)),
    ]);
    for hash in &asked.acknowledge {
        text.push_str(&fields(&[("you know of", clean(hash))]));
    }
    text
}

fn consents(answer: &mut impl io::BufRead) -> bool {
    let mut line = String::new();
    // Nothing to read is no consent.
    answer.read_line(&mut line).is_ok() && line.trim() == CONSENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_word_is_consent() {
        for (typed, wanted) in [
            ("yes\n", true),
            ("yes", true),
            ("y\n", false),
            ("YES\n", false),
            ("\n", false),
            ("", false),
            ("no yes\n", false),
        ] {
            assert_eq!(consents(&mut typed.as_bytes()), wanted, "{typed:?}");
        }
    }

    #[test]
    fn what_froze_it_is_shown_before_the_question() {
        let freeze = Freeze {
            active: true,
            reason: "transaction ABC, not ours, used a slot\u{7}".into(),
            since: None,
        };
        let asked = Unfreeze {
            reason: "made by hand on Monday".into(),
            acknowledge: vec!["AB".repeat(32)],
            yes: false,
        };
        let text = about(&freeze, &asked);
        assert!(text.contains("not ours, used a slot\\u{7}"), "{text}");
        assert!(
            text.contains(&"AB".repeat(32)) && text.contains("made by hand"),
            "{text}"
        );
    }
}
