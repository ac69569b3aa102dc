//! The stream of changes, followed across breaks of the connection and restarts of the gateway.
//!
//! Owns: the cursor and when the stream counts as dead. May not: drop a change, or hide that some may have been missed.

use std::time::Duration;

use paygate_proto::v1::{Payment, TimelineEvent, WatchPaymentsRequest, WatchPaymentsResponse};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status, Streaming};

use crate::client::Client;
use crate::error::{CallError, Meaning, Refusal, Unanswered, meaning};
use crate::repeat::{Kind, pause_after, repeat};

/// A stream that is silent for so long is dead: three heartbeats of the contract, which come every 10 s.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A change of a payment. The same one may come again after a break.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Store it after dealing with the change: a later watch goes on from there.
    pub cursor: String,
    /// What happened, with the state right after it. Its `sequence` tells a change that came twice.
    pub event: TimelineEvent,
    /// The payment as it was when the gateway sent this: after the change, and perhaps after later ones.
    pub payment: Payment,
}

/// A stream of changes that opens itself again where it broke.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    request: WatchPaymentsRequest,
    stream: Option<Streaming<WatchPaymentsResponse>>,
    breaks: u32,
}

impl Watch {
    pub(crate) fn new(client: Client, request: WatchPaymentsRequest) -> Watch {
        Watch {
            client,
            request,
            stream: None,
            breaks: 0,
        }
    }

    /// Everything up to here was handed out. Empty: nothing yet, and none was given.
    #[must_use]
    pub fn cursor(&self) -> &str {
        &self.request.cursor
    }

    /// Waits until the stream is open: every later change will be handed out by [`Watch::next`].
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub async fn opened(&mut self) -> Result<(), CallError> {
        // The first message of a stream is a heartbeat, which has a cursor and no change.
        while self.request.cursor.is_empty() {
            self.step().await?;
        }
        Ok(())
    }

    /// The next change, however long it takes. May be dropped and called again without losing one.
    ///
    /// # Errors
    /// [`CallError::Refused`]: the gateway does not give this stream. [`CallError::Unanswered`]: it cannot be reached in time; or
    /// the stream broke before it gave a cursor, and changes since it was opened may be missed. Calling again goes on.
    pub async fn next(&mut self) -> Result<Change, CallError> {
        loop {
            if let Some(change) = self.step().await? {
                return Ok(change);
            }
        }
    }

    /// One message, or what comes after a break. `None`: no change.
    async fn step(&mut self) -> Result<Option<Change>, CallError> {
        let Some(stream) = &mut self.stream else {
            self.open().await?;
            return Ok(None);
        };
        let status = match timeout(SILENCE_MAX, stream.message()).await {
            Ok(Ok(Some(message))) => {
                self.breaks = 0;
                if !message.cursor.is_empty() {
                    self.request.cursor.clone_from(&message.cursor);
                }
                return Ok(message.payment.map(|payment| Change {
                    cursor: message.cursor,
                    event: message.change.unwrap_or_default(),
                    payment,
                }));
            }
            Ok(Ok(None)) => Status::unavailable("the gateway ended the stream"),
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded(format!(
                "the stream was silent for {} s",
                SILENCE_MAX.as_secs()
            )),
        };
        self.stream = None;
        self.broken(&status).await?;
        Ok(None)
    }

    /// Goes on after a break, unless the gateway has refused or changes may have been missed.
    async fn broken(&mut self, status: &Status) -> Result<(), CallError> {
        let last = Refusal::from_status(status);
        let refused = matches!(meaning(status), Meaning::Refused | Meaning::RefusedForGood);
        if refused && status.code() != Code::ResourceExhausted {
            return Err(CallError::Refused(Box::new(last)));
        }
        self.breaks = self.breaks.saturating_add(1);
        if self.request.cursor.is_empty() {
            let unanswered = Unanswered {
                attempts: self.breaks,
                reached: true,
                last,
            };
            return Err(CallError::Unanswered(Box::new(unanswered)));
        }
        (self.client.settings().on_repeat)(self.breaks, &last);
        sleep(last.retry_after.unwrap_or_else(|| pause_after(self.breaks))).await;
        Ok(())
    }

    async fn open(&mut self) -> Result<(), CallError> {
        let (client, asked) = (&self.client, &self.request);
        let settings = client.settings();
        // Without a deadline in the request: it would end the stream. `repeat` bounds the opening.
        let opened = repeat(Kind::Read, settings, settings.total_timeout, |_| {
            let request = client.traced(asked.clone());
            async move { client.payments().watch_payments(request).await }
        });
        match opened.await {
            Ok(stream) => {
                self.stream = Some(stream);
                Ok(())
            }
            Err(CallError::Refused(refusal)) if refusal.code == Code::ResourceExhausted => {
                (settings.on_repeat)(self.breaks + 1, &refusal);
                self.breaks = self.breaks.saturating_add(1);
                sleep(
                    refusal
                        .retry_after
                        .unwrap_or_else(|| pause_after(self.breaks)),
                )
                .await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
