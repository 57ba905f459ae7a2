//! What shells and `man` are told of the command.

use super::{OUTTRAY, outtray, run};
use std::process::Command;

/// Runs a script of a shell with the command's completions sourced before; `None` if there is no
/// such shell.
fn in_shell(shell: &str, script: &str) -> Option<String> {
    let completions = run(outtray(&["completions", shell]), "");
    assert_eq!(completions.code, 0, "{completions:?}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("_outtray");
    std::fs::write(&path, &completions.stdout).unwrap();
    Command::new(shell).args(["-c", "true"]).status().ok()?;
    let mut command = Command::new(shell);
    command.args(["-c", script, OUTTRAY]).arg(&path);
    let ended = run(command, "");
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    Some(ended.stdout)
}

/// Returns what bash would complete the last of these words to.
fn completed(words: &[&str]) -> String {
    let (quoted, last) = (format!("'{}'", words.join("' '")), words.len() - 1);
    let before = words[last - 1];
    let script = format!(
        "source \"$1\"; COMP_WORDS=({quoted}); COMP_CWORD={last}
        _outtray outtray '{}' '{before}'; echo \"${{COMPREPLY[*]}}\"",
        words[last]
    );
    in_shell("bash", &script).expect("every system that runs the tests has bash")
}

#[test]
fn bash_completes_commands_options_and_their_values() {
    assert_eq!(completed(&["outtray", "proc"]), "processes\n");
    assert_eq!(completed(&["outtray", "dead", "re"]), "redrive\n");
    let options = completed(&["outtray", "top", "--"]);
    for option in ["--every", "--once", "--json", "--url"] {
        assert!(options.contains(option), "{options}");
    }
    assert_eq!(completed(&["outtray", "top", "--view", "p"]), "processes\n");
}

#[test]
fn every_shell_gets_a_script_and_those_that_are_there_read_it() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(outtray(&["completions", shell]), "");
        assert_eq!((script.code, script.stderr.as_str()), (0, ""));
        assert!(script.stdout.contains("redrive"), "{shell}");
    }
    in_shell(
        "zsh",
        "fpath=($1:h $fpath); autoload -Uz compinit; compinit -D -u; autoload +X _outtray",
    );
    in_shell("fish", "source $argv[1]");
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let whole = run(outtray(&["man"]), "").stdout;
    let redrive = run(outtray(&["man", "dead", "redrive"]), "").stdout;
    let unknown = run(outtray(&["man", "dead", "revive"]), "");
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    let written = run(outtray(&["man", "--to", to]), "");

    assert!(
        whole.contains(".TH outtray 1") && whole.contains("outtray\\-dead"),
        "{whole}"
    );
    assert!(redrive.contains(".TH outtray-dead-redrive 1"), "{redrive}");
    super::check(&unknown, 2, "has no command revive");
    let pages = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(written.stdout.lines().count(), pages);
    assert!(pages > 40, "{pages}");
    assert!(folder.path().join("outtray-dead-redrive.1").is_file());
}

#[test]
fn what_reads_pages_of_the_manual_has_nothing_to_complain_of() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    assert_eq!(run(outtray(&["man", "--to", to]), "").code, 0);
    for reader in ["mandoc -T lint -W error", "groff -k -man -ww -z"] {
        let program = reader.split(' ').next().unwrap_or_default();
        let mut shell = Command::new("sh");
        let script = "command -v \"$1\" >/dev/null || exit 0; exec $0 \"$2\"/*.1";
        shell.args(["-c", script, reader, program, to]);

        let read = run(shell, "");

        assert_eq!(
            (read.code, read.stdout.as_str(), read.stderr.as_str()),
            (0, "", ""),
            "{reader}"
        );
    }
}
