import { describe, expect, it } from 'vitest';
import type { Document } from './contract.ts';
import { useApi } from './fixture.ts';

const fixture = useApi();

const document = async (): Promise<Document> =>
  (await fixture.api.inject({ url: '/openapi.json' })).json<Document>();

describe('The routes', () => {
  it('are exactly these', () => {
    expect(fixture.api.printRoutes({ commonPrefix: false, includeHooks: false })).toMatchSnapshot();
  });

  it('that are described all say who may call them', async () => {
    const { paths } = await document();
    const open: string[] = [];
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (!('security' in operation)) open.push(`${method} ${path}`);
      }
    }
    expect(open.sort()).toEqual([
      'get /api/AuthInfo',
      'get /health/live',
      'get /health/ready',
      'get /metrics',
      'get /openapi.json',
      'post /api/Mail/Azure',
      'post /auth/token',
      'post /notifications/gmail',
      'post /notifications/graph',
    ]);
  });
});

describe('GET /openapi.json', () => {
  it('is this document', async () => {
    await expect(JSON.stringify(await document(), null, 2)).toMatchFileSnapshot('./openapi.expected.json');
  });

  it('is OpenAPI 3.1 with references that lead somewhere', async () => {
    const whole = await document();
    expect(whole.openapi).toBe('3.1.0');
    const text = JSON.stringify(whole);
    for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
      expect(whole.components.schemas).toHaveProperty(name!);
    }
    expect(text).not.toContain('"x-');
    expect(Object.keys(whole.components.schemas)).toEqual(
      expect.arrayContaining([
        'EmailRule',
        'EmailRuleFieldMapping',
        'Error',
        'IMAPMessage',
        'IncomingEmail',
        'Mailbox',
        'MimeMessage',
      ]),
    );
  });

  it('says something about every call, parameter and field', async () => {
    const { paths, components } = await document();
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        expect(operation.summary, `${method} ${path}`).toEqual(expect.any(String));
        expect(operation.tags, `${method} ${path}`).toHaveLength(1);
        const parameters = (operation.parameters ?? []) as {
          name: string;
          in: string;
          description?: string;
          schema: { description?: string };
        }[];
        for (const { name, in: place, description, schema } of parameters) {
          if (place === 'query')
            expect(description ?? schema.description, `${path} ${name}`).toEqual(expect.any(String));
        }
      }
    }
    for (const name of ['Mailbox', 'EmailRule', 'IncomingEmail'] as const) {
      const { properties } = components.schemas[name] as {
        properties: Record<string, { description?: string }>;
      };
      for (const [field, schema] of Object.entries(properties)) {
        expect(schema.description, `${name}.${field}`).toMatch(/\w/);
      }
    }
  });
});

describe('GET /docs', () => {
  it('is one page from our origin, with a policy that allows nothing else', async () => {
    const page = await fixture.api.inject({ url: '/docs' });
    expect(page.statusCode).toBe(200);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:|data:/);
    const html = page.payload;
    expect(html).not.toMatch(/<script(?![^>]*src="\/)|<style|\son\w+=|style="|https?:\/\//);
    for (const [, path] of html.matchAll(/(?:src|href)="(\/[^"#]*)"/g)) {
      const asset = await fixture.api.inject({ url: path! });
      expect(asset.statusCode, path).toBe(200);
    }
  });

  it('has every call and every record, with links that lead somewhere', async () => {
    const html = (await fixture.api.inject({ url: '/docs' })).payload;
    const { paths, components } = await document();
    for (const path of Object.keys(paths)) expect(html).toContain(`data-path="${path}"`);
    const ids = new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
    for (const name of Object.keys(components.schemas)) expect(ids).toContain(`schema-${name}`);
    for (const [, target] of html.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target);
  });
});
