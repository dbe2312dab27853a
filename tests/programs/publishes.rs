// Threads that set variables for others to read, one writer of a name at a time: what each reader and each program
// that it starts sees.
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::{env, thread};

fn ours(pairs: impl Iterator<Item = (String, String)>) -> String {
    let all: Vec<String> = pairs.filter(|pair| pair.0.starts_with("JOB_")).map(|(n, v)| format!("{n}={v}")).collect();
    all.join(" ")
}

fn child(command: &mut Command) -> String {
    let output = command.output().expect("cannot start env");
    let text = String::from_utf8_lossy(&output.stdout).to_string();
    ours(text.lines().filter_map(|line| line.split_once('=')).map(|(n, v)| (n.to_string(), v.to_string())))
}

fn program() -> Command {
    Command::new("/usr/bin/env")
}

fn look(place: &str) {
    println!("{place}_var={:?}", env::var("JOB_NAME"));
    println!("{place}_vars={}", ours(env::vars()));
    println!("{place}_plain={}", child(&mut program()));
    println!("{place}_env={}", child(program().env("JOB_OTHER", "other")));
    println!("{place}_env_same={}", child(program().env("JOB_NAME", "own")));
    println!("{place}_env_remove={}", child(program().env_remove("JOB_NAME")));
    println!("{place}_env_clear={}", child(program().env_clear()));
    println!("{place}_env_clear_env={}", child(program().env_clear().env("JOB_ONLY", "only")));
    let in_child = || Ok(());
    println!("{place}_forked={}", child(unsafe { program().pre_exec(in_child) }));
    println!("{place}_forked_env={}", child(unsafe { program().env("JOB_OTHER", "other").pre_exec(in_child) }));
}

// A thread that does what it is told, step by step.
struct Worker {
    orders: Sender<Box<dyn FnOnce() + Send>>,
    done: Receiver<()>,
    thread: thread::JoinHandle<()>,
}

impl Worker {
    fn start() -> Worker {
        let (orders, inbox) = channel::<Box<dyn FnOnce() + Send>>();
        let (outbox, done) = channel();
        let thread = thread::spawn(move || {
            for order in inbox {
                order();
                outbox.send(()).unwrap();
            }
        });
        Worker { orders, done, thread }
    }
    fn run(&self, order: impl FnOnce() + Send + 'static) {
        self.orders.send(Box::new(order)).unwrap();
        self.done.recv().unwrap();
    }
    fn end(self) {
        drop(self.orders);
        self.thread.join().unwrap();
    }
}

fn main() {
    env::set_var("JOB_NAME", "initial");
    env::set_var("JOB_ANOTHER", "initial");
    look("alone");

    let worker = Worker::start();
    worker.run(|| env::set_var("JOB_NAME", "worker"));
    worker.run(|| env::set_var("JOB_NEW", "worker"));
    look("beside");
    env::set_var("JOB_MAIN", "initial");
    worker.run(|| look("worker"));
    worker.run(|| env::remove_var("JOB_ANOTHER"));
    look("removed");
    worker.end();
    look("joined");

    thread::spawn(|| env::set_var("JOB_NAME", "published")).join().unwrap();
    look("published");

    // A task that moves from one thread of a pool to another.
    let pool = [Worker::start(), Worker::start(), Worker::start()];
    pool[0].run(|| env::set_var("JOB_TASK", "first half"));
    pool[1].run(|| look("second_half"));
    pool[1].run(|| env::set_var("JOB_RESULT", "second half"));
    pool[2].run(|| look("third_half"));
    look("after_task");
    pool.into_iter().for_each(Worker::end);
    env::remove_var("JOB_NAME");
    look("end");
}
