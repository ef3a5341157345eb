//! Who asks: browsers, tools and bots, by their `User-Agent`.

/// Bots by a part of their name in lower case that no browser has, and what to call them. The first
/// that fits counts.
const BOTS: &[(&str, &str)] = &[
    ("googlebot", "Googlebot"),
    ("google-inspectiontool", "Googlebot"),
    ("googleother", "GoogleOther"),
    ("adsbot-google", "AdsBot-Google"),
    ("mediapartners-google", "Mediapartners-Google"),
    ("feedfetcher-google", "FeedFetcher-Google"),
    ("google-read-aloud", "Google-Read-Aloud"),
    ("google favicon", "Google Favicon"),
    ("bingbot", "bingbot"),
    ("bingpreview", "BingPreview"),
    ("msnbot", "msnbot"),
    ("slurp", "Yahoo! Slurp"),
    ("duckduckbot", "DuckDuckBot"),
    ("baiduspider", "Baiduspider"),
    ("yandex.com/bots", "YandexBot"),
    ("yandexbot", "YandexBot"),
    ("applebot", "Applebot"),
    ("petalbot", "PetalBot"),
    ("ahrefsbot", "AhrefsBot"),
    ("semrushbot", "SemrushBot"),
    ("mj12bot", "MJ12bot"),
    ("dotbot", "DotBot"),
    ("dataforseobot", "DataForSeoBot"),
    ("blexbot", "BLEXBot"),
    ("gptbot", "GPTBot"),
    ("chatgpt-user", "ChatGPT-User"),
    ("oai-searchbot", "OAI-SearchBot"),
    ("claudebot", "ClaudeBot"),
    ("claude-web", "Claude-Web"),
    ("claude-user", "Claude-User"),
    ("anthropic-ai", "anthropic-ai"),
    ("perplexitybot", "PerplexityBot"),
    ("perplexity-user", "Perplexity-User"),
    ("ccbot", "CCBot"),
    ("bytespider", "Bytespider"),
    ("amazonbot", "Amazonbot"),
    ("meta-externalagent", "meta-externalagent"),
    ("facebookexternalhit", "facebookexternalhit"),
    ("facebot", "Facebot"),
    ("twitterbot", "Twitterbot"),
    ("linkedinbot", "LinkedInBot"),
    ("slackbot", "Slackbot"),
    ("slack-imgproxy", "Slackbot"),
    ("discordbot", "Discordbot"),
    ("telegrambot", "TelegramBot"),
    ("whatsapp", "WhatsApp"),
    ("pinterestbot", "Pinterestbot"),
    ("ia_archiver", "ia_archiver"),
    ("archive.org_bot", "archive.org_bot"),
    ("uptimerobot", "UptimeRobot"),
    ("pingdom", "Pingdom"),
    ("statuscake", "StatusCake"),
    ("site24x7", "Site24x7"),
    ("betteruptime", "Better Uptime"),
    ("better uptime", "Better Uptime"),
    ("newrelicpinger", "New Relic"),
    ("datadog", "Datadog"),
    ("mackerel", "Mackerel"),
    ("kube-probe", "kube-probe"),
    ("elb-healthchecker", "ELB-HealthChecker"),
    ("googlehc", "GoogleHC"),
    ("amazon-route53-health-check", "Route 53"),
    ("amazon cloudfront", "CloudFront"),
    ("consul health check", "Consul"),
    ("envoy/hc", "Envoy"),
    ("nagios", "Nagios"),
    ("check_http", "Nagios"),
    ("zabbix", "Zabbix"),
    ("prometheus", "Prometheus"),
    ("blackbox exporter", "Blackbox Exporter"),
    ("zgrab", "zgrab"),
    ("masscan", "masscan"),
    ("nmap scripting", "Nmap"),
    ("nuclei", "Nuclei"),
    ("censysinspect", "Censys"),
    ("expanse", "Expanse"),
    ("headlesschrome", "HeadlessChrome"),
];

/// Programs that are driven by people, by a part of their name in lower case.
const TOOLS: &[(&str, &str)] = &[
    ("isukit", "isukit"),
    ("isucon", "ISUCON benchmarker"),
    ("isucandar", "ISUCON benchmarker"),
    ("curl/", "curl"),
    ("wget/", "Wget"),
    ("go-http-client", "Go-http-client"),
    ("python-requests", "python-requests"),
    ("python-httpx", "python-httpx"),
    ("aiohttp", "aiohttp"),
    ("python-urllib", "Python-urllib"),
    ("scrapy", "Scrapy"),
    ("okhttp", "okhttp"),
    ("apache-httpclient", "Apache-HttpClient"),
    ("java-http-client", "Java-http-client"),
    ("java/", "Java"),
    ("axios", "axios"),
    ("node-fetch", "node-fetch"),
    ("undici", "undici"),
    ("node", "node"),
    ("deno/", "Deno"),
    ("bun/", "Bun"),
    ("guzzlehttp", "GuzzleHttp"),
    ("faraday", "Faraday"),
    ("ruby", "Ruby"),
    ("libwww-perl", "libwww-perl"),
    ("reqwest", "reqwest"),
    ("hyper/", "hyper"),
    ("dart/", "Dart"),
    ("cfnetwork", "CFNetwork"),
    ("postmanruntime", "Postman"),
    ("insomnia", "Insomnia"),
    ("httpie", "HTTPie"),
    ("k6/", "k6"),
    ("wrk", "wrk"),
    ("apachebench", "ApacheBench"),
    ("hey/", "hey"),
    ("oha/", "oha"),
    ("vegeta", "vegeta"),
    ("locust", "Locust"),
    ("gatling", "Gatling"),
    ("jmeter", "JMeter"),
    ("h2load", "h2load"),
    ("grpc-", "gRPC"),
];

/// Browsers, the more special ones first: all say that they are Mozilla, and most that they are Safari.
const BROWSERS: &[(&str, &str)] = &[
    ("edg/", "Edge"),
    ("edga/", "Edge"),
    ("edgios/", "Edge"),
    ("edge/", "Edge"),
    ("opr/", "Opera"),
    ("opera", "Opera"),
    ("samsungbrowser/", "Samsung Internet"),
    ("vivaldi/", "Vivaldi"),
    ("yabrowser/", "Yandex Browser"),
    ("ucbrowser/", "UC Browser"),
    ("line/", "LINE"),
    ("fban/", "Facebook"),
    ("fbav/", "Facebook"),
    ("instagram", "Instagram"),
    ("firefox/", "Firefox"),
    ("fxios/", "Firefox"),
    ("crios/", "Chrome"),
    ("chromium/", "Chrome"),
    ("chrome/", "Chrome"),
    ("trident/", "Internet Explorer"),
    ("msie ", "Internet Explorer"),
    ("android", "Android Browser"),
    ("safari/", "Safari"),
    ("applewebkit", "WebKit"),
];

/// Words that bots have in their names. What is before `bot` must not make another word of it, and the
/// Cubot is a telephone.
const BOT_WORDS: &[&str] = &[
    "bot",
    "crawl",
    "spider",
    "scrap",
    "monitor",
    "preview",
    "fetcher",
    "validator",
    "archiver",
    "healthcheck",
    "health-check",
    "health check",
    "probe",
    "scanner",
];

/// The family of an agent: `Chrome`, `curl`, `Googlebot`, `other bot`, `other`; `none` when it is empty.
/// Versions and systems do not matter. Takes time in proportion to the length of `ua`: ask once an agent, not
/// once a line.
pub fn family(ua: &[u8]) -> &'static str {
    classify(ua).0
}

/// Whether it is a program that asks by itself: a search engine, a monitor, a scanner.
///
/// Load generators, libraries and command-line tools are none: a person or a program of the service
/// is behind them.
pub fn is_bot(ua: &[u8]) -> bool {
    classify(ua).1
}

fn classify(ua: &[u8]) -> (&'static str, bool) {
    let ua = &ua[..ua.len().min(1_024)];
    let lower = ua.to_ascii_lowercase();
    let has = |part: &str| memchr::memmem::find(&lower, part.as_bytes()).is_some();
    let find = |table: &[(&str, &'static str)]| {
        table
            .iter()
            .find(|(part, _)| has(part))
            .map(|(_, name)| *name)
    };
    if matches!(lower.as_slice(), b"" | b"-") {
        return ("none", false);
    }
    if let Some(name) = find(BOTS) {
        return (name, true);
    }
    if BOT_WORDS.iter().any(|word| has_bot_word(&lower, word)) {
        return ("other bot", true);
    }
    if let Some(name) = find(TOOLS) {
        return (name, false);
    }
    let family = match lower.starts_with(b"mozilla/") || lower.starts_with(b"opera/") {
        true => find(BROWSERS).unwrap_or("other browser"),
        false => "other",
    };
    (family, false)
}

/// Whether the word is in the agent and means a bot there.
fn has_bot_word(lower: &[u8], word: &str) -> bool {
    memchr::memmem::find_iter(lower, word.as_bytes()).any(|at| {
        let (before, behind) = (&lower[..at], &lower[at + word.len()..]);
        match word {
            // `cubot`; `bottle`, `both`, `bottom`: a bot's name ends in `bot` or `bots`.
            "bot" => {
                let ends = behind
                    .first()
                    .is_none_or(|byte| !byte.is_ascii_alphabetic() || *byte == b's');
                ends && !before.ends_with(b"cu")
            }
            _ => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_and_their_families() {
        let check = |ua: &str, expected: &str, bot: bool| {
            assert_eq!(
                (family(ua.as_bytes()), is_bot(ua.as_bytes())),
                (expected, bot),
                "{ua}"
            );
        };
        let webkit = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";
        check(
            &format!("{webkit} Chrome/120.0.0.0 Safari/537.36"),
            "Chrome",
            false,
        );
        check(
            &format!("{webkit} Chrome/120.0.0.0 Safari/537.36 Edg/120.0"),
            "Edge",
            false,
        );
        check(
            &format!("{webkit} Chrome/120.0 Safari/537.36 OPR/106.0"),
            "Opera",
            false,
        );
        check(
            &format!("{webkit} HeadlessChrome/120.0 Safari/537.36"),
            "HeadlessChrome",
            true,
        );
        check(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
            "Safari",
            false,
        );
        check(
            "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
            "Firefox",
            false,
        );
        check(
            "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0 Mobile Safari/537.36",
            "Chrome",
            false,
        );
        check(
            "Mozilla/5.0 (Linux; Android 11; CUBOT X50) Chrome/99.0",
            "Chrome",
            false,
        );
        check(
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Googlebot",
            true,
        );
        check(
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/103.0 Safari/537.36",
            "bingbot",
            true,
        );
        check(
            "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
            "AhrefsBot",
            true,
        );
        check(
            "Mozilla/5.0 (compatible; SemrushBot/7~bl)",
            "SemrushBot",
            true,
        );
        check(
            "Mozilla/5.0 (compatible; GPTBot/1.0; +https://openai.com/gptbot)",
            "GPTBot",
            true,
        );
        check(
            "Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
            "ClaudeBot",
            true,
        );
        check(
            "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (compatible; Bytespider)",
            "Bytespider",
            true,
        );
        check(
            "Mozilla/5.0 (compatible; FooCrawler/1.0)",
            "other bot",
            true,
        );
        check("some-bot", "other bot", true);
        check("MyBot/1.0", "other bot", true);
        check(
            "Mozilla/5.0+(compatible; UptimeRobot/2.0)",
            "UptimeRobot",
            true,
        );
        check("Pingdom.com_bot_version_1.4", "Pingdom", true);
        check("kube-probe/1.29", "kube-probe", true);
        check("ELB-HealthChecker/2.0", "ELB-HealthChecker", true);
        check("curl/8.5.0", "curl", false);
        check("Go-http-client/1.1", "Go-http-client", false);
        check("python-requests/2.31.0", "python-requests", false);
        check("okhttp/4.12.0", "okhttp", false);
        check("isukit/0.1.0", "isukit", false);
        check("ISUCON bench/1.0", "ISUCON benchmarker", false);
        check("k6/0.49.0 (https://k6.io/)", "k6", false);
        check("bottle-client", "other", false);
        check("-", "none", false);
        check("", "none", false);
        check("\u{16}\u{3}", "other", false);
    }
}
