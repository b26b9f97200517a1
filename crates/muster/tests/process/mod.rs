//! Running the binary: to its end, or until it is told to stop.

#![allow(dead_code)] // not every test binary uses all of it

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread::JoinHandle,
};

/// A call of the binary that does not see the environment's options.
pub(crate) fn muster(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars() {
        if ["MUSTER_", "HORDE_", "R2_", "AWS_", "OTEL_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command
}

/// What a call printed that must succeed.
pub(crate) fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a call complained about that must fail, with status 1 and without a panic.
pub(crate) fn fails(mut command: Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

/// A command that runs until it is told to stop; killed if the test ends first.
pub(crate) struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
    errors: Option<JoinHandle<String>>,
    output: String,
    url: String,
}

impl Running {
    /// A server on a free port, ready to be called.
    pub(crate) fn serve(data: &Path, arguments: &[&str]) -> Self {
        let mut all = vec![
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data.to_str().unwrap(),
        ];
        all.extend(arguments);
        let mut server = Self::start(&all, None);
        let line = server.wait_for("Serving on ");
        line.trim()
            .trim_start_matches("Serving on ")
            .clone_into(&mut server.url);
        server
    }

    pub(crate) fn start(arguments: &[&str], directory: Option<&Path>) -> Self {
        let mut command = muster(arguments);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        Self::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self {
            child,
            lines,
            errors: Some(errors),
            output: String::new(),
            url: String::new(),
        }
    }

    /// Takes note of where a server listens.
    pub(crate) fn set_url(&mut self, url: &str) {
        url.clone_into(&mut self.url);
    }

    /// Where a server listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What a server answers to a request (`GET /path`) with such headers, each with its line's end: head and body.
    pub(crate) fn call(&self, request: &str, headers: &str, body: &str) -> (String, String) {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        let length = body.len();
        let text = format!(
            "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// All that was read from its output so far.
    pub(crate) fn output(&self) -> &str {
        &self.output
    }

    /// Whether a text occurs in the output so far.
    pub(crate) fn said(&self, text: &str) -> bool {
        self.output.contains(text)
    }

    /// Reads the output until a line contains `text`; that line.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                let errors = self
                    .errors
                    .take()
                    .map(|errors| errors.join().unwrap())
                    .unwrap_or_default();
                panic!("it ended without saying {text:?}: {}{errors}", self.output);
            }
            self.output.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Ends it as a service manager does; its status and what it wrote to standard error.
    pub(crate) fn stop(&mut self) -> (ExitStatus, String) {
        self.signal("TERM")
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn interrupt(&mut self) -> (ExitStatus, String) {
        self.signal("INT")
    }

    /// Ends it at once, without giving it a chance to do anything.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn signal(&mut self, name: &str) -> (ExitStatus, String) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &id])
                .status()
                .unwrap()
                .success()
        );
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        self.output.push_str(&rest);
        let status = self.child.wait().unwrap();
        let errors = self
            .errors
            .take()
            .map(|errors| errors.join().unwrap())
            .unwrap_or_default();
        (status, errors)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
