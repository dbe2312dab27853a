// Two tests that set one variable. Alone each passes (ALONE=1); side by side the one that has set it first finds the
// other's value, and starts a program with it. To be run with --test-threads=2.
#![cfg(test)]
use std::env;
use std::process::Command;
use std::sync::{Condvar, Mutex};

const NAME: &str = "TEST_DATABASE";

// How far the two have come.
static STEP: Mutex<u32> = Mutex::new(0);
static STEPPED: Condvar = Condvar::new();

fn step() {
    *STEP.lock().unwrap() += 1;
    STEPPED.notify_all();
}

fn wait_for_step(number: u32) {
    if env::var_os("ALONE").is_none() {
        drop(STEPPED.wait_while(STEP.lock().unwrap(), |step| *step < number).unwrap());
    }
}

fn given_to_a_program() -> String {
    let output = Command::new("/usr/bin/printenv").arg(NAME).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim_end().to_string()
}

#[test]
fn first() {
    env::set_var(NAME, "first");
    step();
    wait_for_step(2);
    let (read, given) = (env::var(NAME).unwrap(), given_to_a_program());
    step();
    assert_eq!((read.as_str(), given.as_str()), ("first", "first"));
}

#[test]
fn second() {
    wait_for_step(1);
    env::set_var(NAME, "second");
    step();
    let (read, given) = (env::var(NAME).unwrap(), given_to_a_program());
    wait_for_step(3);
    assert_eq!((read.as_str(), given.as_str()), ("second", "second"));
}
