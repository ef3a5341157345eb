use super::*;

/// A scenario in a folder of its own.
fn scenario(files: &[(&str, &str)]) -> (tempfile::TempDir, Scenario) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let scenario = Scenario::load(folder.path()).unwrap();
    (folder, scenario)
}

const TOML: &str = r#"
[feeds]
names = "names.csv"
[score]
viewed = 1
"made \"it\"" = 10
[[phase]]
name = "load"
duration = "1s"
[phase.users.reader]
users = 1
[phase.users.writer]
users = 1
"#;

const FILES: [(&str, &str); 3] = [
    ("scenario.toml", TOML),
    ("scenario.luau", "return {}"),
    ("names.csv", "id\n1\n"),
];

fn written(files: &[(&str, &str)]) -> String {
    let (_folder, scenario) = scenario(files);
    let out = tempfile::tempdir().unwrap();
    let files = write(&scenario, &out.path().join("deep/types")).unwrap();
    let [file] = files.as_slice() else {
        panic!("{files:?}");
    };
    assert_eq!(file.file_name().unwrap(), FILE);
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn a_schema_becomes_types() {
    let toml = format!("{TOML}[proto]\nerror = \"Error\"\n");
    let mut files = FILES.to_vec();
    files[0].1 = &toml;
    files.push(("shop.proto", include_str!("golden.proto")));
    let written = written(&files);
    let generated = &written[written.find("\n-- The scenario's messages.").unwrap()..];
    let expected = include_str!("golden.d.luau");
    assert!(
        generated == expected,
        "types/golden.d.luau should be:\n{generated}"
    );
    assert!(written.contains("\nexport type ErrorMessage = Error\n"));
}

#[test]
fn the_scenarios_names_are_literals() {
    let written = written(&FILES);
    for line in [
        r#"export type ScoreTag = "viewed" | "made \"it\"""#,
        r#"export type UserKind = "reader" | "writer""#,
        r#"export type FeedName = "names""#,
        "export type ErrorMessage = any",
    ] {
        assert!(written.lines().any(|found| found == line), "{line}");
    }
    assert!(!written.contains("declare P"));
}

#[test]
fn what_has_no_names_stays_as_it_is() {
    let toml = "[[phase]]\nname = \"i\"\nrun = \"initialize\"\n";
    let files = [("scenario.toml", toml), ("scenario.luau", "return {}")];
    assert_eq!(written(&files), HOST);
}
