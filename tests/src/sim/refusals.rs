//! What differs between the releases in how a transaction is refused.
//!
//! Owns: the words of the older release, the types that it does not know, and the second refusal of a bad signature. May
//! not: decide whether a transaction is good.

use serde_json::{Value, json};

use super::blob::{BlobError, Tx};
use super::codes::Ter;
use super::node::Node;
use super::rpc::RpcError;
use super::shapes::object;
use super::types::Hash;
use super::world::Release;

/// Types that 2.3.0-b4 cannot read, and what it says of them.
const UNKNOWN_TO_2_3: [(&str, &str); 4] = [
    ("Batch", "Unknown field"),
    ("CredentialCreate", "Unknown field"),
    ("LoanBrokerSet", "Unknown field"),
    ("MPTokenIssuanceCreate", "Invalid transaction type 54"),
];
/// What a bad signature is called at first and, from the same bytes, later.
const BAD_SIGNATURE: &str = "fails local checks: Invalid signature.";
const KNOWN_BAD_SIGNATURE: &str = "fails local checks: Transaction has bad signature.";

/// The text of a result.
pub(super) fn message(ter: Ter, release: Release) -> &'static str {
    match (ter, release) {
        (Ter::TemBadAmount, Release::V2_3) => "Can only send positive amounts.",
        _ => ter.message(),
    }
}

/// Why a blob is refused that could not be read or has no good signature.
pub(super) fn refused(node: &mut Node, error: &BlobError, blob: Option<&Value>) -> RpcError {
    let BlobError::Invalid(text) = error else {
        return RpcError::invalid_params();
    };
    let mut text = text.as_str();
    let bytes = blob
        .and_then(Value::as_str)
        .and_then(|blob| hex::decode(blob).ok());
    let hash: Option<Hash> = bytes.map(|bytes| Tx::hash_of(&bytes));
    if let Some(hash) = hash.filter(|_| text == BAD_SIGNATURE)
        && !node.bad_signatures.insert(hash)
    {
        text = KNOWN_BAD_SIGNATURE;
    }
    invalid(text)
}

fn invalid(text: &str) -> RpcError {
    let exception = object(json!({ "error_exception": text }));
    RpcError::bare("invalidTransaction").with(exception)
}

/// Refuses what the server's release does not know.
pub(super) fn check_known(tx: &Tx, release: Release) -> Result<(), RpcError> {
    if release != Release::V2_3 {
        return Ok(());
    }
    let kind = tx.json.get("TransactionType").and_then(Value::as_str);
    let unknown = UNKNOWN_TO_2_3.iter().find(|(name, _)| Some(*name) == kind);
    if let Some((_, text)) = unknown {
        return Err(invalid(text));
    }
    if tx.fee.is_none() {
        let text = "Cannot return non-native STAmount as XRPAmount";
        let exception = object(json!({ "error_exception": text }));
        return Err(RpcError::bare("internalSubmit").with(exception));
    }
    Ok(())
}
