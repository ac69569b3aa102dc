//! The Rust client of Paygate: typed calls that may be repeated, and never conclude more about money than is known.
//!
//! Owns: deadlines, repeating with the same `payment_id`, following the stream of changes across breaks, the caller's trace,
//! and what an error means for the money. May not: choose another id for a payment that was sent, or take a timeout for an outcome.
//!
//! ```no_run
//! use std::time::Duration;
//! use paygate_client::{Client, Outcome, outcome, proto};
//!
//! # async fn pay() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("http://127.0.0.1:50051")?;
//! let request = proto::CreatePaymentRequest {
//!     // Written down before the first call: it is what makes repeating safe, also after a crash.
//!     payment_id: "invoice-4711".to_owned(),
//!     destination: "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe".to_owned(),
//!     amount: Some(proto::create_payment_request::Amount::XrpDrops(2_500_000)),
//!     ..Default::default()
//! };
//! client.create_payment(request).await?;
//! let payment = client.wait_until_final("invoice-4711", Duration::from_secs(300)).await?;
//! match outcome(&payment) {
//!     Outcome::Paid => println!("paid"),
//!     Outcome::Unpaid => println!("the destination got nothing and never will: {}", payment.reason_detail),
//!     Outcome::Live => println!("not decided yet: ask again later, do not pay elsewhere"),
//! }
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod amount;
pub mod audit;
mod client;
mod currency;
mod error;
mod operator;
mod payment;
mod random;
mod repeat;
mod secure;
mod watch;

pub use amount::{AmountError, DROPS_PER_XRP, MAX_DROPS, drops_from_xrp, xrp_from_drops};
pub use client::{Client, EndpointError, Settings};
pub use currency::{CurrencyError, currency_code, currency_name};
pub use error::{CallError, FieldViolation, Refusal, Unanswered, code_name};
pub use paygate_proto::v1 as proto;
pub use paygate_telemetry::TraceParent;
pub use payment::{Outcome, PaymentIdError, check_payment_id, outcome, safe_to_repay};
pub use random::{random_payment_id, random_trace};
pub use secure::{Identity, IdentityError};
pub use watch::{Change, Watch};
