// Tests as people write them: each sets one variable and looks at what its own code and the programs that it starts
// make of it. Alone each passes (SIDE_BY_SIDE=1); side by side they disturb each other. They wait for each other, so
// that side by side means at the same moment: to be run with --test-threads=8.
#![cfg(test)]
use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Condvar, Mutex};

const NAME: &str = "TEST_DATABASE";

// Everybody has set its value, and nobody's test has ended.
static ARRIVED: Mutex<usize> = Mutex::new(0);
static ALL_ARRIVED: Condvar = Condvar::new();

fn wait_for_all() {
    let tests = env::var("SIDE_BY_SIDE").map_or(8, |number| number.parse().unwrap());
    let mut arrived = ARRIVED.lock().unwrap();
    *arrived += 1;
    let round = (*arrived - 1) / tests;
    ALL_ARRIVED.notify_all();
    while *arrived < (round + 1) * tests {
        arrived = ALL_ARRIVED.wait(arrived).unwrap();
    }
}

fn side_by_side<T: PartialEq + std::fmt::Debug>(value: &str, expected: T, found: impl Fn() -> T) {
    env::set_var(NAME, value);
    wait_for_all();
    let found = found();
    // Whoever fails must not leave the others waiting, nor end before they have looked.
    wait_for_all();
    assert_eq!(found, expected);
}

fn printed(command: &mut Command) -> Option<String> {
    let output = command.output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().to_string())
}

fn printenv(name: &str) -> Command {
    let mut command = Command::new("/usr/bin/printenv");
    command.arg(name);
    command
}

fn some(value: &str) -> Option<String> {
    Some(value.to_string())
}

#[test]
fn reads_its_variable() {
    side_by_side("read", some("read"), || env::var(NAME).ok());
}

#[test]
fn starts_a_program() {
    side_by_side("plain", some("plain"), || printed(&mut printenv(NAME)));
}

#[test]
fn starts_a_program_with_another_variable() {
    side_by_side("other", some("other"), || printed(printenv(NAME).env("OTHER", "value")));
}

#[test]
fn gives_a_program_another_variable() {
    side_by_side("given", some("value"), || printed(printenv("OTHER").env("OTHER", "value")));
}

#[test]
fn starts_a_program_without_the_variable() {
    side_by_side("removed", None, || printed(printenv(NAME).env_remove(NAME)));
}

#[test]
fn starts_a_program_without_another_variable() {
    side_by_side("another removed", some("another removed"), || printed(printenv(NAME).env_remove("HOME")));
}

#[test]
fn starts_a_program_with_nothing() {
    side_by_side("cleared", some("value"), || {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "echo $TEST_DATABASE$OTHER"]);
        printed(shell.env_clear().env("OTHER", "value"))
    });
}

#[test]
fn starts_a_program_by_fork() {
    side_by_side("forked", some("forked"), || printed(unsafe { printenv(NAME).pre_exec(|| Ok(())) }));
}
