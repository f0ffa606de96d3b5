// Generated JSON of kinds that suit columns badly: nested, of many shapes, long text. Seeded, so every run has the same.

function random(seed) {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return Math.floor((state / 4_294_967_296) * bound);
  };
}

const words =
  "the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she there would their we him been has when who will no more if out so up said what its about than into them can only other time new some could these two may first then do".split(
    " ",
  );

const pick = (next, list) => list[Math.min(next(list.length), next(list.length))];
const prose = (next, count) => Array.from({ length: count }, () => pick(next, words)).join(" ");
const hex = (next, count) => Array.from({ length: count }, () => "0123456789abcdef"[next(16)]).join("");
const time = (next, i) => new Date(1_700_000_000_000 + i * 61_000 + next(60_000)).toISOString().replace(/\.\d+/, "");

function user(next, id = next(400)) {
  const login = `${words[id % words.length]}${id}`;
  return {
    login,
    id: 1_000_000 + id * 77,
    node_id: Buffer.from(`User${id}`).toString("base64"),
    avatar_url: `https://avatars.example.com/u/${1_000_000 + id * 77}?v=4`,
    url: `https://api.example.com/users/${login}`,
    site_admin: false,
  };
}

const repository = (next, id = next(150)) => ({
  id: 50_000 + id * 13,
  name: `${words[(id * 7) % words.length]}/${words[(id * 3) % words.length]}-${id}`,
  url: `https://api.example.com/repos/${words[(id * 7) % words.length]}/${id}`,
});

function githubEvent(next, i) {
  const kind = pick(next, [
    "PushEvent",
    "WatchEvent",
    "IssueCommentEvent",
    "CreateEvent",
    "PullRequestEvent",
    "ForkEvent",
  ]);
  const payloads = {
    PushEvent: () => ({
      push_id: 4_000_000_000 + next(1e8),
      size: 1,
      ref: "refs/heads/main",
      head: hex(next, 40),
      before: hex(next, 40),
      commits: Array.from({ length: 1 + next(4) }, () => ({
        sha: hex(next, 40),
        author: { name: user(next).login, email: `${user(next).login}@example.com` },
        message: prose(next, 4 + next(20)),
        distinct: next(5) > 0,
      })),
    }),
    WatchEvent: () => ({ action: "started" }),
    IssueCommentEvent: () => ({
      action: "created",
      issue: { number: next(5_000), title: prose(next, 8), user: user(next), labels: [], state: "open" },
      comment: { id: next(1e9), user: user(next), body: prose(next, 20 + next(120)), created_at: time(next, i) },
    }),
    CreateEvent: () => ({ ref: null, ref_type: "repository", master_branch: "main", description: prose(next, 10) }),
    PullRequestEvent: () => ({
      action: pick(next, ["opened", "closed"]),
      number: next(900),
      pull_request: {
        id: next(1e9),
        title: prose(next, 7),
        user: user(next),
        body: prose(next, 60),
        merged: next(2) === 0,
      },
    }),
    ForkEvent: () => ({ forkee: repository(next) }),
  };
  return {
    id: `${20_000_000_000 + i * 97}`,
    type: kind,
    actor: user(next),
    repo: repository(next),
    payload: payloads[kind](),
    public: true,
    created_at: time(next, i),
  };
}

function webhook(next, i) {
  const items = Array.from({ length: 1 + next(4) }, () => ({
    sku: `SKU-${next(900)}`,
    quantity: 1 + next(4),
    price: { amount: (next(20_000) / 100).toFixed(2), currency: pick(next, ["EUR", "USD", "GBP"]) },
    attributes: next(3) === 0 ? { size: pick(next, ["S", "M", "L"]), colour: pick(next, words) } : {},
  }));
  return {
    event: pick(next, ["order.created", "order.paid", "order.shipped", "refund.created"]),
    delivery: `${hex(next, 8)}-${hex(next, 4)}-4${hex(next, 3)}-a${hex(next, 3)}-${hex(next, 12)}`,
    sent_at: time(next, i),
    order: {
      id: 700_000 + i,
      customer: {
        ...user(next),
        address: { city: pick(next, words), zip: `${10_000 + next(80_000)}`, lines: [prose(next, 3)] },
      },
      items,
      note: next(4) === 0 ? prose(next, 12) : null,
      totals: { net: next(1e5) / 100, tax: next(1e4) / 100 },
    },
    links: {
      self: `https://shop.example.com/orders/${700_000 + i}`,
      customer: `https://shop.example.com/customers/${next(400)}`,
    },
  };
}

function tweet(next, i) {
  const text = prose(next, 6 + next(24));
  return {
    created_at: time(next, i),
    id_str: `${505_874_900_000_000_000n + BigInt(i) * 3_001n}`,
    text,
    lang: pick(next, ["en", "ja", "de", "es"]),
    user: { ...user(next), description: prose(next, 10), followers_count: next(50_000), verified: next(40) === 0 },
    entities: {
      hashtags: Array.from({ length: next(3) }, () => ({
        text: pick(next, words),
        indices: [next(50), 50 + next(50)],
      })),
      urls: [],
      user_mentions: Array.from({ length: next(3) }, () => ({
        screen_name: user(next).login,
        indices: [next(20), 20 + next(20)],
      })),
    },
    retweet_count: next(900),
    favorited: false,
    geo: next(9) === 0 ? { type: "Point", coordinates: [next(18_000) / 100 - 90, next(36_000) / 100 - 180] } : null,
  };
}

const kinds = { "github-like": githubEvent, "webhook-like": webhook, "tweet-like": tweet };

/** `count` values of every kind, as lines of JSON. */
export function jsonCorpora(count) {
  return Object.entries(kinds).map(([name, make], n) => {
    const next = random(77 + n);
    return { name, lines: Array.from({ length: count }, (_, i) => JSON.stringify(make(next, i))) };
  });
}
