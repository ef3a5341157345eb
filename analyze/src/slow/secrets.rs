//! Passwords in statements: MariaDB logs them in clear, and reports go to other people.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// A literal behind what announces a password: `IDENTIFIED BY 'x'`, `PASSWORD('x')`, `password = 'x'`,
/// `IDENTIFIED WITH plugin AS 'x'`, `MASTER_PASSWORD='x'`.
static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?is)((?:identified\s+(?:via|with)\s+\S+\s+(?:using|as|by)|identified\s+by|password)(?:\s+password)?[`"\s]*(?::?=\s*|\(\s*|for\s+\S+\s*=\s*)*(?:password\s*\(\s*)?)('(?:[^'\\]|''|\\.)*'?|"(?:[^"\\]|""|\\.)*"?)"#,
    )
    .ok()
});

/// The statement with `'...'` for each password that it announces.
pub(crate) fn masked(statement: &str) -> Cow<'_, str> {
    match LazyLock::force(&SECRET) {
        Some(secret) => secret.replace_all(statement, "${1}'...'"),
        None => Cow::Borrowed(statement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announced_passwords_are_masked() {
        let check = |statement: &str, shown: &str| assert_eq!(masked(statement), shown);
        check(
            "CREATE USER 'a'@'%' IDENTIFIED BY 'sesame'",
            "CREATE USER 'a'@'%' IDENTIFIED BY '...'",
        );
        check(
            "create user a identified via mysql_native_password using 'sesame'",
            "create user a identified via mysql_native_password using '...'",
        );
        check(
            "GRANT ALL ON *.* TO a IDENTIFIED BY PASSWORD '*5E5A'",
            "GRANT ALL ON *.* TO a IDENTIFIED BY PASSWORD '...'",
        );
        check(
            "SET PASSWORD = PASSWORD('se\\'same')",
            "SET PASSWORD = PASSWORD('...')",
        );
        check(
            "SET PASSWORD FOR a@b = 'sesame'",
            "SET PASSWORD FOR a@b = '...'",
        );
        check(
            "CHANGE MASTER TO MASTER_PASSWORD='sesame', MASTER_PORT=1",
            "CHANGE MASTER TO MASTER_PASSWORD='...', MASTER_PORT=1",
        );
        check(
            "SELECT id FROM users WHERE name = 'a' AND `password` = 'ses''ame'",
            "SELECT id FROM users WHERE name = 'a' AND `password` = '...'",
        );
        // An unclosed one goes to the end.
        check("SET PASSWORD = 'sesame", "SET PASSWORD = '...'");
        for same in [
            "SELECT 1",
            "SELECT password FROM users",
            "",
            "UPDATE t SET a = 'x'",
        ] {
            check(same, same);
        }
    }
}
