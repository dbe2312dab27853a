// What Rust's std makes of a variable that two threads disagree about: one has removed it, or one alone has set it.
//
// Prints WHO_HOW=VALUE for `var`, and for programs started with the environment as it is and with changes. std makes a
// changed environment of what is in `environ`; so `more` and `less` are the same where the variable is not in `environ`.
use std::process::Command;
use std::sync::Barrier;
use std::{env, thread};

fn child(changes: impl Fn(&mut Command)) -> String {
    let mut command = Command::new("/usr/bin/printenv");
    command.arg("JOB_NAME");
    changes(&mut command);
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim_end().to_string()
}

fn look(who: &str) {
    println!("{who}_var={}", env::var("JOB_NAME").unwrap_or_default());
    println!("{who}_plain={}", child(|_| ()));
    println!("{who}_more={}", child(|command| { command.env("JOB_OTHER", "other"); }));
    println!("{who}_less={}", child(|command| { command.env_remove("JOB_NAME"); }));
    println!("{who}_own={}", child(|command| { command.env("JOB_NAME", "own"); }));
}

// `first` is done in one thread, then `second` in another; then both look.
fn disagree(names: [&str; 2], first: impl Fn() + Send + Sync, second: impl Fn() + Send + Sync) {
    let turn = Barrier::new(2);
    thread::scope(|threads| {
        threads.spawn(|| {
            first();
            turn.wait();
            turn.wait();
            look(names[0]);
            turn.wait();
            turn.wait();
        });
        threads.spawn(|| {
            turn.wait();
            second();
            turn.wait();
            turn.wait();
            look(names[1]);
            turn.wait();
        });
    });
}

fn main() {
    env::set_var("JOB_NAME", "initial");
    disagree(["setter", "remover"], || env::set_var("JOB_NAME", "set"), || env::remove_var("JOB_NAME"));
    env::set_var("JOB_NAME", "initial");
    disagree(["early_remover", "late_setter"], || env::remove_var("JOB_NAME"), || env::set_var("JOB_NAME", "set"));
}
