// Two builds in two threads of one process, as a build tool written in Rust has them: each sets what a build script is
// given and then starts compilers. The first build sets all before the second does, so without a scope each, every
// compiler of the first build is given the second one's values.
//
//     rust_builds DIRECTORY
//
// Prints BUILD_WAY=N: how many of the variables the compiler had from its own build.
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::{env, fs, thread};

const NAMES: [&str; 14] = [
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_AUTHORS",
    "CARGO_MANIFEST_DIR",
    "CARGO_CFG_UNIX",
    "OUT_DIR",
    "TARGET",
    "HOST",
    "NUM_JOBS",
    "OPT_LEVEL",
    "PROFILE",
    "DEBUG",
    "DEP_CORE_ROOT",
    "RUSTC_LINKER_FLAVOR",
];

struct Build {
    name: &'static str,
    directory: PathBuf,
}

impl Build {
    fn value(&self, name: &str) -> String {
        match name {
            "OUT_DIR" => self.directory.display().to_string(),
            _ => format!("{}-{name}", self.name),
        }
    }

    fn set_all(&self) {
        NAMES.iter().for_each(|name| env::set_var(name, self.value(name)));
    }

    fn count(&self, get: impl Fn(&str) -> Option<String>) -> usize {
        NAMES.iter().filter(|name| get(name) == Some(self.value(name))).count()
    }

    fn child(&self, command: &mut Command) -> usize {
        let output = command.stderr(Stdio::inherit()).output().expect("cannot start a compiler");
        let text = String::from_utf8_lossy(&output.stdout).to_string();
        self.count(|name| {
            let mut values = text.lines().filter_map(|line| line.split_once('=')).filter(|pair| pair.0 == name);
            values.next().map(|pair| pair.1.to_string())
        })
    }

    // The compiler writes what it was given into the program that it makes.
    fn compile(&self) -> usize {
        let source: String = NAMES
            .iter()
            .map(|name| format!("println!(\"{name}={{}}\", env!(\"{name}\"));\n"))
            .collect();
        let file = self.directory.join("main.rs");
        fs::write(&file, format!("fn main() {{\n{source}}}\n")).unwrap();
        let program = self.directory.join("main");
        let mut rustc = Command::new("rustc");
        assert!(rustc.arg("-o").arg(&program).arg(&file).status().unwrap().success());
        self.child(&mut Command::new(program))
    }

    fn compile_all_ways(&self) -> Vec<(&'static str, usize)> {
        let program = || Command::new("/usr/bin/env");
        let in_child = || Ok(());
        vec![
            ("var", self.count(|name| env::var(name).ok())),
            ("plain", self.child(&mut program())),
            ("searched", self.child(&mut Command::new("env"))),
            ("shell", self.child(Command::new("sh").args(["-c", "env; :"]))),
            ("in_directory", self.child(program().current_dir(&self.directory))),
            ("env", self.child(program().env("JOB_OTHER", "other"))),
            ("env_own", self.child(program().env("CARGO_PKG_NAME", self.value("CARGO_PKG_NAME")))),
            ("env_remove", self.child(program().env_remove("CARGO_PKG_NAME"))),
            ("env_clear", self.child(program().env_clear())),
            ("forked", self.child(unsafe { program().pre_exec(in_child) })),
            ("forked_env", self.child(unsafe { program().env("JOB_OTHER", "other").pre_exec(in_child) })),
            ("rustc", self.compile()),
        ]
    }
}

fn main() {
    let directory = env::args().nth(1).expect("a directory");
    let turn = Barrier::new(2);
    thread::scope(|threads| {
        let builds = ["one", "two"].map(|name| {
            let build = Build { name, directory: Path::new(&directory).join(name) };
            fs::create_dir_all(&build.directory).unwrap();
            let turn = &turn;
            threads.spawn(move || {
                if name == "one" {
                    build.set_all();
                }
                turn.wait();
                if name == "two" {
                    build.set_all();
                }
                turn.wait();
                let counts = build.compile_all_ways();
                turn.wait();
                counts
            })
        });
        for (name, build) in ["one", "two"].iter().zip(builds) {
            build.join().unwrap().iter().for_each(|(way, own)| println!("{name}_{way}={own}"));
        }
    });
}
