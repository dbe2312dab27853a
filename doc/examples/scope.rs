//! Scopes of the environment as guards for Rust: an inner scope without its outer one does not compile.
//!
//!     rustc --edition 2021 scope.rs
//!     ./scope               the second build's OUT_DIR is everybody's
//!     shim-run ./scope      each has its own
//!
//! An `InnerScope` borrows the scope in which it was entered, mutably: so it cannot outlive it, the outer one cannot be
//! left before it, and there is one at a time. Neither guard can be sent to another thread. `Drop` leaves them, the
//! inner one first. There is no mutex, so no order of scopes in two threads can deadlock.

use std::process::Command;
use std::sync::Barrier;
use std::{env, io, thread};

pub mod scope {
    use std::cell::Cell;
    use std::io;
    use std::marker::PhantomData;
    use std::os::raw::{c_char, c_int, c_void};

    /// raceshim_scope of raceshim.h
    #[repr(C)]
    struct RawScope {
        opaque: [u64; 8],
    }

    extern "C" {
        fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    }

    /// Calls the library's function of that name, which ends in a NUL; where the library is absent this is a no-op.
    fn call(name: &'static [u8], scope: &mut RawScope) -> io::Result<()> {
        assert_eq!(name.last(), Some(&0));
        let rtld_default = std::ptr::null_mut();
        // SAFETY: the name is a C string, and what is found has the type that raceshim.h declares.
        let result = unsafe {
            let found = dlsym(rtld_default, name.as_ptr() as *const c_char);
            if found.is_null() {
                return Ok(());
            }
            let function: unsafe extern "C" fn(*mut RawScope) -> c_int = std::mem::transmute(found);
            function(scope)
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// What both guards are made of. The boxed part stays where it is while the guard moves; the raw pointer in
    /// `PhantomData` is what keeps a guard in its thread.
    struct Entered {
        raw: Box<RawScope>,
        not_send: PhantomData<*mut ()>,
    }

    impl Entered {
        fn enter() -> io::Result<Entered> {
            let mut raw = Box::new(RawScope { opaque: [0; 8] });
            call(b"raceshim_scope_enter\0", &mut raw)?;
            Ok(Entered { raw, not_send: PhantomData })
        }
    }

    impl Drop for Entered {
        fn drop(&mut self) {
            let left = call(b"raceshim_scope_leave\0", &mut self.raw);
            debug_assert!(left.is_ok(), "the guards keep the order: {left:?}");
        }
    }

    thread_local! {
        static IN_OUTER_SCOPE: Cell<bool> = Cell::new(false);
    }

    /// The scope of a build.
    #[must_use = "a scope is left when its guard is dropped"]
    pub struct OuterScope {
        _entered: Entered,
    }

    impl OuterScope {
        /// A thread has one at a time: what lies within it is an `inner`.
        pub fn enter() -> io::Result<OuterScope> {
            if IN_OUTER_SCOPE.with(Cell::get) {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "this thread is in an outer scope"));
            }
            let entered = Entered::enter()?;
            IN_OUTER_SCOPE.with(|inside| inside.set(true));
            Ok(OuterScope { _entered: entered })
        }

        pub fn inner(&mut self) -> io::Result<InnerScope<'_>> {
            InnerScope::within(self)
        }
    }

    impl Drop for OuterScope {
        fn drop(&mut self) {
            IN_OUTER_SCOPE.with(|inside| inside.set(false));
        }
    }

    /// The scope of what runs within a build.
    #[must_use = "a scope is left when its guard is dropped"]
    pub struct InnerScope<'outer> {
        _entered: Entered,
        outer: PhantomData<&'outer mut ()>,
    }

    impl<'outer> InnerScope<'outer> {
        fn within<T>(_outer: &'outer mut T) -> io::Result<InnerScope<'outer>> {
            Ok(InnerScope { _entered: Entered::enter()?, outer: PhantomData })
        }

        pub fn inner(&mut self) -> io::Result<InnerScope<'_>> {
            InnerScope::within(self)
        }
    }
}

use scope::OuterScope;

/// What a program that is started here sees of these variables.
fn seen() -> io::Result<String> {
    let output = Command::new("sh").args(["-c", "echo ${OUT_DIR-} ${COMPILER_MODE-}"]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_string())
}

fn build(name: &str, both_are_set: &Barrier) -> io::Result<String> {
    let mut outer = OuterScope::enter()?;
    env::set_var("OUT_DIR", format!("/tmp/{name}"));
    both_are_set.wait();
    let within = {
        let _inner = outer.inner()?;
        env::set_var("COMPILER_MODE", name);
        both_are_set.wait();
        seen()?
    };
    both_are_set.wait();
    Ok(format!("{within}, then {}", seen()?))
}

fn main() -> io::Result<()> {
    let both_are_set = Barrier::new(2);
    thread::scope(|threads| {
        let builds = ["one", "two"].map(|name| (name, threads.spawn(|| build(name, &both_are_set))));
        for (name, build) in builds {
            println!("{name}={}", build.join().expect("a build panicked")?);
        }
        Ok(())
    })
    .map(|()| println!("afterwards={}", env::var("OUT_DIR").unwrap_or_default()))
}
