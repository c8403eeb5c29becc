//! Has the OpenAPI document show bodies and lists as their rules say.

/// The schema of each type of body is its object's.
macro_rules! bodies {
    ($($input:ty: $object:expr),+ $(,)?) => {$(
        impl utoipa::PartialSchema for $input {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $object.openapi()
            }
        }
        impl utoipa::ToSchema for $input {}
    )+};
}

/// A type that stands for the arguments of a list.
macro_rules! arguments {
    ($(#[$about:meta])* $name:ident: $list:expr) => {
        $(#[$about])*
        pub struct $name;

        impl utoipa::IntoParams for $name {
            fn into_params(
                _: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
            ) -> Vec<utoipa::openapi::path::Parameter> {
                $list.described()
            }
        }
    };
}

pub(in crate::api::v2) use {arguments, bodies};
