//! The gRPC contract of Paygate: generated types, clients and servers, and the descriptor set.
//!
//! Owns the Rust shape of `proto/paygate/**/*.proto` and nothing else. Holds no logic: what a field means stands in the
//! `.proto` files, and what is allowed is decided by the gateway and by the signer. `tests/generated.rs` keeps `src/gen`
//! equal to the `.proto` files and tells how to regenerate it.

/// The descriptor of every file of the contract and of the files that they import, encoded as `google.protobuf.FileDescriptorSet`:
/// what server reflection hands out. It carries no comments: they would triple it, and reflection does not need them.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/descriptor.bin");

mod reasons;

pub use reasons::{REASONS, Reason, Stored, row_of};

/// `paygate.v1`: what callers, approvers and operators speak with the gateway.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::float_arithmetic)]
pub mod v1 {
    include!("gen/paygate.v1.rs");
}

/// The gateway and the signer among themselves.
pub mod signer {
    /// `paygate.signer.v1`: spoken over the signer's Unix socket only.
    #[allow(missing_docs, unreachable_pub, clippy::all, clippy::float_arithmetic)]
    pub mod v1 {
        include!("gen/paygate.signer.v1.rs");
    }
}
