//! One made-up secret of every kind, made at run time so that none stands in a file of ours.

/// A secret: the name of its rule, the secret, and a text of a file that holds it.
pub struct Sample {
    pub rule: &'static str,
    pub secret: String,
    pub text: String,
}

/// Letters and digits that look random, the same for each seed.
pub fn random(seed: u64, len: usize) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..8 {
        next();
    }
    (0..len)
        .map(|_| char::from(DIGITS[(next() >> 20) as usize % 62]))
        .collect()
}

fn bytes(seed: u64, len: usize) -> Vec<u8> {
    random(seed, len * 2)
        .bytes()
        .zip(random(seed + 1, len * 2).bytes().skip(3))
        .map(|(a, b)| a.wrapping_mul(31) ^ b.wrapping_mul(7))
        .take(len)
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

/// With the checksum of GitHub's tokens.
fn checked(seed: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let body = random(seed, 30);
    let mut crc = u32::MAX;
    for byte in body.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    let mut crc = !crc;
    let mut sum = [b'0'; 6];
    for digit in sum.iter_mut().rev() {
        *digit = DIGITS[(crc % 62) as usize];
        crc /= 62;
    }
    body + std::str::from_utf8(&sum).unwrap()
}

fn pem(label: &str, content: &[u8]) -> String {
    let lines: Vec<String> = base64(content)
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn der(seed: u64, len: u16) -> Vec<u8> {
    let mut der = vec![0x30, 0x82];
    der.extend(len.to_be_bytes());
    der.extend(bytes(seed, usize::from(len)));
    der
}

/// A secret key of Nix.
pub fn nix_key(name: &str, seed: u64) -> String {
    let seed: [u8; 32] = bytes(seed, 32).try_into().unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&seed);
    format!("{name}:{}", base64(&key.to_keypair_bytes()))
}

fn age(seed: u64) -> String {
    const DIGITS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let hrp = b"age-secret-key-";
    let data: Vec<u32> = bytes(seed, 52)
        .iter()
        .map(|byte| u32::from(byte & 31))
        .collect();
    let all = hrp
        .iter()
        .map(|b| u32::from(b >> 5))
        .chain([0])
        .chain(hrp.iter().map(|b| u32::from(b & 31)));
    let mut sum = 1_u32;
    for value in all.chain(data.iter().copied()).chain([0; 6]) {
        let top = sum >> 25;
        sum = ((sum & 0x1ff_ffff) << 5) ^ value;
        let parts = [
            0x3b6a_57b2,
            0x2650_8e6d,
            0x1ea1_19fa,
            0x3d42_33dd,
            0x2a14_62b3,
        ];
        for (at, part) in parts.into_iter().enumerate() {
            if top >> at & 1 == 1 {
                sum ^= part;
            }
        }
    }
    sum ^= 1;
    let sum = (0..6).map(|at| (sum >> (5 * (5 - at))) & 31);
    let digits: String = data
        .iter()
        .copied()
        .chain(sum)
        .map(|v| char::from(DIGITS[v as usize]))
        .collect();
    format!("AGE-SECRET-KEY-1{}", digits.to_uppercase())
}

fn jwt(seed: u64) -> String {
    let url = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let claims = format!("{{\"jti\":\"{}\",\"scopes\":\"cache\"}}", random(seed, 12));
    format!(
        "{}.{}.{}",
        url("{\"alg\":\"HS256\"}"),
        url(&claims),
        random(seed + 1, 43)
    )
}

/// One of every kind.
#[allow(clippy::too_many_lines, reason = "a list")]
pub fn all() -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut add = |rule, secret: String, text: String| samples.push(Sample { rule, secret, text });
    let line = |secret: &str| format!("# settings\nvalue: {secret}\nmore\n");
    for (at, prefix) in ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"]
        .into_iter()
        .enumerate()
    {
        let token = format!("{prefix}{}", checked(10 + at as u64));
        add("github-token", token.clone(), line(&token));
    }
    for (rule, token) in [
        (
            "github-fine-grained-token",
            format!("github_pat_{}_{}", random(20, 22), random(21, 59)),
        ),
        ("gitlab-token", format!("glpat-{}", random(22, 20))),
        ("google-api-key", format!("AIza{}", random(23, 35))),
        ("google-oauth-secret", format!("GOCSPX-{}", random(24, 28))),
        (
            "slack-token",
            format!("xoxb-123456789013-9876543210123-{}", random(25, 24)),
        ),
        (
            "slack-token",
            format!(
                "xapp-1-A0{}-1234567890123-{}",
                "B7C8D9E",
                "9f2b7c41d0e83a65".repeat(4)
            ),
        ),
        (
            "slack-webhook",
            format!(
                "hooks.slack.com/services/T0A1B2C3D/B0Z9Y8X7W/{}",
                random(26, 24)
            ),
        ),
        ("stripe-key", format!("sk_live_{}", random(27, 24))),
        ("stripe-key", format!("rk_live_{}", random(28, 99))),
        ("npm-token", format!("npm_{}", checked(29))),
        (
            "pypi-token",
            format!(
                "pypi-{}",
                data_encoding::BASE64URL_NOPAD
                    .encode(&[&[2, 1, 8][..], b"pypi.org", &[2, 60], &bytes(30, 90)].concat())
            ),
        ),
        ("docker-token", format!("dckr_pat_{}", random(32, 27))),
        ("jwt", jwt(33)),
        (
            "openai-key",
            format!("sk-{}T3BlbkFJ{}", random(34, 20), random(35, 20)),
        ),
        (
            "openai-key",
            format!("sk-proj-{}T3BlbkFJ{}", random(36, 74), random(37, 74)),
        ),
        (
            "anthropic-key",
            format!("sk-ant-api03-{}AA", random(38, 93)),
        ),
        ("age-key", age(40)),
        (
            "azure-key",
            format!("{}+ASt{}==", random(41, 76), random(42, 6)),
        ),
    ] {
        add(rule, token.clone(), line(&token));
    }
    let token = format!("cio{}", random(43, 32));
    add(
        "crates-token",
        token.clone(),
        format!("[registry]\ntoken = \"{token}\"\n"),
    );
    let token = format!("SG.{}.{}", random(44, 22), random(45, 43));
    add("sendgrid-key", token.clone(), format!("KEY={token}\n"));
    let secret = random(46, 40);
    add(
        "aws-key",
        secret.clone(),
        format!(
            "[default]\naws_access_key_id = AKIA{}\naws_secret_access_key = {secret}\n",
            "Q7RM2XK4ZB6WJ3VN"
        ),
    );
    let key = format!("{}==", random(47, 86));
    add(
        "azure-key",
        key.clone(),
        format!(
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={key};EndpointSuffix=core\n"
        ),
    );
    let key = format!("{}=", random(48, 43));
    add(
        "azure-key",
        key.clone(),
        format!("Endpoint=sb://x/;SharedAccessKeyName=y;SharedAccessKey={key}\n"),
    );
    for label in [
        "RSA PRIVATE KEY",
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
    ] {
        let key = pem(label, &der(49, 600));
        add("private-key", key.clone(), key);
    }
    let key = pem("PRIVATE KEY", &der(50, 1200)).replace('\n', "\\n");
    add(
        "google-service-account",
        key.clone(),
        format!(
            "{{ \"type\": \"service_account\", \"private_key_id\": \"0\", \"private_key\": \"{key}\", \"client_email\": \"a@b.iam.gserviceaccount.com\" }}"
        ),
    );
    let key = pem(
        "OPENSSH PRIVATE KEY",
        &[b"openssh-key-v1\0".as_slice(), &bytes(51, 300)].concat(),
    );
    add("ssh-key", key.clone(), key);
    let lines = base64(&bytes(52, 96));
    add(
        "ssh-key",
        lines.clone(),
        format!(
            "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 1\n{lines}\nPrivate-MAC: 0\n"
        ),
    );
    let key = pem(
        "PGP PRIVATE KEY BLOCK",
        &[&[0x95][..], &bytes(53, 900)].concat(),
    );
    add("pgp-key", key.clone(), key);
    let key = nix_key("cache.team.org-1", 54);
    add(
        "nix-key",
        key.split(':').nth(1).unwrap().to_owned(),
        format!("{key}\n"),
    );
    let login = base64(format!("robot:{}", random(55, 16)).as_bytes());
    add(
        "docker-login",
        login.clone(),
        format!("{{ \"auths\": {{ \"ghcr.io\": {{ \"auth\": \"{login}\" }} }} }}"),
    );
    let word = format!("{}-4z", random(56, 12));
    add(
        "netrc-password",
        word.clone(),
        format!("machine cache.team.org login ci password {word}\n"),
    );
    let word = random(57, 14);
    add(
        "url-password",
        word.clone(),
        format!("db: postgres://app:{word}@db.team.org:5432/app\n"),
    );
    for (at, text) in [
        "password = \"@\"",
        "  'api_key': '@',",
        "export CLIENT_SECRET=@",
        "auth-token: @",
        "apiKey := `@`",
    ]
    .into_iter()
    .enumerate()
    {
        let value = random(60 + at as u64, 32);
        add(
            "assignment",
            value.clone(),
            format!("a = 1\n{}\n", text.replace('@', &value)),
        );
    }
    samples
}
