//! Functions that a host has beyond the ABI. Envoy's `verify_signature`: Protocol Buffers in and out.

use app_auth_test_tokens::native::verify_signature;
use wasmtime::{Caller, Result};

use super::{BAD_ARGUMENT, NOT_FOUND, OK, enter};
use crate::guest::{give, read, read_text};
use crate::state::State;

pub(super) fn call(
    mut caller: Caller<'_, State>,
    name: u32,
    name_length: u32,
    arguments: u32,
    arguments_length: u32,
    results_at: u32,
    results_length_at: u32,
) -> Result<u32> {
    enter(&mut caller, "proxy_call_foreign_function")?;
    let name = read_text(&mut caller, name, name_length)?;
    if name != "verify_signature" || !caller.data().shared.quirks.verifies_signatures {
        return Ok(NOT_FOUND);
    }
    let arguments = read(&mut caller, arguments, arguments_length)?;
    let Some([hash, key, signature, text]) = fields(&arguments) else { return Ok(BAD_ARGUMENT) };
    let good = std::str::from_utf8(hash).is_ok_and(|hash| verify_signature(hash, key, signature, text));
    // Field 1: true; or field 2: what is wrong.
    let result: &[u8] = if good { b"\x08\x01" } else { b"\x12\x06failed" };
    give(&mut caller, result, results_at, results_length_at)?;
    Ok(OK)
}

/// Fields 1 to 4, all of them bytes. One that is not there is empty.
fn fields(mut message: &[u8]) -> Option<[&[u8]; 4]> {
    let mut fields = [&[][..]; 4];
    while let Some((tag, rest)) = message.split_first() {
        let (length, rest) = varint(rest)?;
        let (content, rest) = rest.split_at_checked(length)?;
        let bytes = tag & 7 == 2;
        let field = usize::from(tag >> 3).checked_sub(1).and_then(|index| fields.get_mut(index));
        *field.filter(|_| bytes)? = content;
        message = rest;
    }
    Some(fields)
}

fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        number |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}
