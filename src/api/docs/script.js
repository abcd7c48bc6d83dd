// Search, and trying a call. The page is complete without this script; nothing leaves this origin, and the token
// is kept in its field only.
const search = document.querySelector('#search');
const token = document.querySelector('#token');
document.querySelector('.tools').hidden = false;

search.addEventListener('input', () => {
  const wanted = search.value.trim().toLowerCase();
  for (const article of document.querySelectorAll('article')) {
    article.hidden = wanted !== '' && !article.textContent.toLowerCase().includes(wanted);
  }
  for (const item of document.querySelectorAll('nav li')) {
    const target = document.getElementById(decodeURIComponent(item.querySelector('a').hash.slice(1)));
    item.hidden = target?.hidden === true;
  }
});

for (const article of document.querySelectorAll('article[data-path]')) {
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  summary.textContent = 'Try it';
  details.append(summary);
  details.addEventListener('toggle', () => fillForm(article, details), { once: true });
  article.append(details);
}

function fillForm(article, details) {
  const form = document.createElement('form');
  for (const row of article.querySelectorAll('tr[data-in]')) {
    form.append(field(row.dataset.name, row.dataset.in));
  }
  const { method } = article.dataset;
  let body = null;
  if (method === 'POST') {
    body = document.createElement('textarea');
    body.setAttribute('aria-label', 'Body');
    form.append(body);
  }
  const button = document.createElement('button');
  button.textContent = `Send ${method}`;
  const answer = document.createElement('pre');
  answer.hidden = true;
  form.append(button);
  details.append(form, answer);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    answer.hidden = false;
    answer.textContent = 'Waiting...';
    answer.textContent = await send(article.dataset, form, body?.value ?? null);
  });
}

function field(name, place) {
  const label = document.createElement('label');
  const input = document.createElement('input');
  input.name = name;
  input.dataset.in = place;
  label.append(`${name} `, input, document.createElement('br'));
  return label;
}

async function send({ method, path }, form, body) {
  let url = path;
  const query = new URLSearchParams();
  for (const { name, value, dataset } of form.querySelectorAll('input')) {
    if (dataset.in === 'path') url = url.replace(`{${name}}`, encodeURIComponent(value));
    else if (value !== '') query.append(name, value);
  }
  const isForm = path === '/auth/token';
  const headers = {};
  if (token.value !== '') headers.authorization = `Bearer ${token.value}`;
  if (body) headers['content-type'] = isForm ? 'application/x-www-form-urlencoded' : 'application/json';
  try {
    const answer = await fetch(query.size === 0 ? url : `${url}?${query}`, { method, headers, body: body || null });
    const text = await answer.text();
    return `${answer.status} ${answer.statusText}\n\n${readable(text)}`;
  } catch (error) {
    return String(error);
  }
}

function readable(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
