//! Reading and writing the module's memory, bounds checked, and handing it buffers it then owns.

use wasmtime::{Caller, Error, Extern, Memory, Result};

use crate::state::State;

pub(crate) fn trap(message: impl Into<String>) -> Error {
    Error::msg(message.into())
}

fn memory(caller: &mut Caller<'_, State>) -> Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(trap("the module exports no memory")),
    }
}

pub(crate) fn read(caller: &mut Caller<'_, State>, pointer: u32, length: u32) -> Result<Vec<u8>> {
    let memory = memory(caller)?;
    let start = pointer as usize;
    let bytes = memory.data(&*caller).get(start..start + length as usize);
    bytes.map(<[u8]>::to_vec).ok_or_else(|| trap("a pointer leads out of the module's memory"))
}

pub(crate) fn read_text(caller: &mut Caller<'_, State>, pointer: u32, length: u32) -> Result<String> {
    Ok(String::from_utf8_lossy(&read(caller, pointer, length)?).into_owned())
}

pub(crate) fn write(caller: &mut Caller<'_, State>, pointer: u32, bytes: &[u8]) -> Result<()> {
    let memory = memory(caller)?;
    memory
        .write(caller, pointer as usize, bytes)
        .map_err(|_| trap("a pointer leads out of the module's memory"))
}

pub(crate) fn write_u32(caller: &mut Caller<'_, State>, pointer: u32, value: u32) -> Result<()> {
    write(caller, pointer, &value.to_le_bytes())
}

/// Copies bytes into memory the module allocates, and writes where they are and how many.
pub(crate) fn give(
    caller: &mut Caller<'_, State>,
    bytes: &[u8],
    pointer_at: u32,
    length_at: u32,
) -> Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| trap("more than 4 GiB"))?;
    let pointer = if length == 0 { 0 } else { allocate(caller, length)? };
    if length > 0 {
        write(caller, pointer, bytes)?;
    }
    write_u32(caller, pointer_at, pointer)?;
    write_u32(caller, length_at, length)
}

fn allocate(caller: &mut Caller<'_, State>, length: u32) -> Result<u32> {
    let export = caller.get_export("proxy_on_memory_allocate").or_else(|| caller.get_export("malloc"));
    let Some(Extern::Func(allocate)) = export else {
        return Err(trap("the module exports no allocator"));
    };
    match allocate.typed::<u32, u32>(&*caller)?.call(&mut *caller, length)? {
        0 => Err(trap("the module has no memory left")),
        pointer => Ok(pointer),
    }
}
