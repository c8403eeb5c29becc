//! The signature algorithms of RFC 7518, 8037 and 9864 that a token may have: asymmetric ones only. `none` and the
//! `HS…` family have no place in this list, so no key can admit them.

use jsonwebtoken::Algorithm as Named;

use crate::host::HashFunction;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    /// RFC 8037's name for what is Ed25519 here; Ed448 is left out.
    EdDsa,
    /// RFC 9864's name for the same.
    Ed25519,
}

impl Algorithm {
    /// Those of an RSA key, in the order of preference.
    pub const RSA: [Self; 6] = [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Ps384, Self::Ps512];
    pub const ED25519: [Self; 2] = [Self::EdDsa, Self::Ed25519];

    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            "EdDSA" => Self::EdDsa,
            "Ed25519" => Self::Ed25519,
            _ => return None,
        })
    }

    /// `None` for ES512, which `jsonwebtoken` has no name for.
    pub const fn named(self) -> Option<Named> {
        Some(match self {
            Self::Rs256 => Named::RS256,
            Self::Rs384 => Named::RS384,
            Self::Rs512 => Named::RS512,
            Self::Ps256 => Named::PS256,
            Self::Ps384 => Named::PS384,
            Self::Ps512 => Named::PS512,
            Self::Es256 => Named::ES256,
            Self::Es384 => Named::ES384,
            Self::Es512 => return None,
            Self::EdDsa | Self::Ed25519 => Named::EdDSA,
        })
    }

    /// What a message is hashed with before it is signed; of `EdDSA`, with the curve that is admitted here.
    pub const fn hash(self) -> HashFunction {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => HashFunction::Sha256,
            Self::Rs384 | Self::Ps384 | Self::Es384 => HashFunction::Sha384,
            Self::Rs512 | Self::Ps512 | Self::Es512 | Self::EdDsa | Self::Ed25519 => HashFunction::Sha512,
        }
    }

    /// Of what hosts verify ([`crate::host::NativeSignatures`]): the hash, and the form they want the signature in.
    pub const fn native(self) -> Option<(HashFunction, NativeForm)> {
        Some(match self {
            Self::Rs256 => (HashFunction::Sha256, NativeForm::AsIs),
            Self::Rs384 => (HashFunction::Sha384, NativeForm::AsIs),
            Self::Rs512 => (HashFunction::Sha512, NativeForm::AsIs),
            Self::Es256 => (HashFunction::Sha256, NativeForm::DerP256),
            Self::Es384 => (HashFunction::Sha384, NativeForm::DerP384),
            Self::Es512 => (HashFunction::Sha512, NativeForm::DerP521),
            Self::Ps256 | Self::Ps384 | Self::Ps512 | Self::EdDsa | Self::Ed25519 => return None,
        })
    }
}

/// What a host wants of a signature that comes as a token has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NativeForm {
    AsIs,
    DerP256,
    DerP384,
    DerP521,
}
