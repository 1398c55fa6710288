from lib import *
p='src/http/server.ts'; s=open(p).read()
s=re.sub(r"        \.\.\.\(services\.connectUi === undefined[^\n]*\n","        rewriteUrl: ({ url = '/' }: IncomingMessage) => (services.connectUi === undefined ? url : connectUiAtRoot(url)),\n",s)
s=s.replace("import type { Socket } from 'node:net';","import type { IncomingMessage } from 'node:http';\nimport type { Socket } from 'node:net';",1)
a=s.index("const connectUiAtRoot"); b=s.index("\n\n",a)
s=s[:a]+"const connectUiAtRoot = (url: string): string => (/^\\/\\?(?:.*&)?apiURL=/.test(url) ? `/connect-ui${url.slice(1)}` : url);"+s[b:]
open(p,'w').write(s)
sub('test/http/declared-answers.ts',("return sent.type === answer ?","return sent.type === answer || answer === '*/*' ?"))
sub('test/config.test.ts',("        connectUiUrl: 'http://localhost:3003/connect-ui',\n","        connectUiUrl: 'http://localhost:3003/connect-ui',\n        connectUi: { isServed: true, port: undefined, frameAncestors: ['*'] },\n"),
("        ['VALETKEY_CREDENTIAL_TEST_INTERVAL', '0', { credentialTestMs: 0 }],\n","""        ['VALETKEY_CONNECT_UI_PORT', '3009', { connectUi: { ...connectUi, port: 3009 } }],
        ['NANGO_CONNECT_UI_PORT', '3009', { connectUi: { ...connectUi, port: 3009 } }],
        ['VALETKEY_SERVE_CONNECT_UI', 'FALSE', { connectUi: { ...connectUi, isServed: false } }],
        ['FLAG_SERVE_CONNECT_UI', 'false', { connectUi: { ...connectUi, isServed: false } }],
        [
            'VALETKEY_CONNECT_UI_FRAME_ANCESTORS',
            "https://app.example.com, https://*.example.org:8443 'self' capacitor://localhost",
            { connectUi: { ...connectUi, frameAncestors: ['https://app.example.com', 'https://*.example.org:8443', "'self'", 'capacitor://localhost'] } },
        ],
        ['VALETKEY_CREDENTIAL_TEST_INTERVAL', '0', { credentialTestMs: 0 }],
"""),
("describe('each variable, and each alias', () => {\n","describe('each variable, and each alias', () => {\n    const connectUi = { isServed: true, port: undefined, frameAncestors: ['*'] };\n"),
("        ['VALETKEY_DB_POOL_MAX', '0', 'whole number'],\n","""        ['VALETKEY_CONNECT_UI_PORT', 'x', 'port number'],
        ['FLAG_SERVE_CONNECT_UI', 'no', 'true or false'],
        ['VALETKEY_CONNECT_UI_FRAME_ANCESTORS', 'app.example.com', 'origins'],
        ['VALETKEY_CONNECT_UI_FRAME_ANCESTORS', "https://a.example; script-src 'unsafe-inline'", 'origins'],
        ['VALETKEY_CONNECT_UI_FRAME_ANCESTORS', ',', 'origins'],
        ['VALETKEY_DB_POOL_MAX', '0', 'whole number'],
"""))
