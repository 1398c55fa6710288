/** Credentials proved by code (auth-modes §17.2): accepted, rejected, or nothing said (A3). */
import { describe, expect, test } from 'vitest';
import type { Credentials } from '../../../src/credentials/credential.ts';
import { signAwsRequest } from '../../../src/providers/aws-signature.ts';
import type { Verdict } from '../../../src/providers/hooks/hook.ts';
import { verificationScripts } from '../../../src/providers/hooks/index.ts';
import { asked, basic, recorded, type Recorded } from './recorded-calls.ts';

const key: Credentials = { type: 'API_KEY', apiKey: 'the-key' };
/** An answer of PromoStandards Order Status 1.0.0. */
const orderStatus = (inner: string): string =>
    `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><GetOrderStatusDetailsResponse xmlns="http://www.promostandards.org/WSDL/OrderStatusService/1.0.0/">${inner}</GetOrderStatusDetailsResponse></e:Body></e:Envelope>`;
const refusal105 = orderStatus('<errorMessage>105: Authentication Credentials failed</errorMessage>');

interface Case {
    script: string;
    credentials?: Credentials;
    answers: Recorded[];
    verdict: Verdict;
    calls?: string[];
}

const cases: Case[] = [
    { script: 'apollo', answers: [[200, { is_logged_in: true }]], verdict: 'accepted', calls: ['GET /v1/auth/health'] },
    { script: 'apollo', answers: [[200, { is_logged_in: false }]], verdict: 'rejected' },
    { script: 'apollo', answers: [[200, 'nonsense']], verdict: 'rejected' },
    { script: 'apollo', answers: [503], verdict: 'unavailable' },
    { script: 'awsIam', credentials: basic, answers: [200], verdict: 'accepted', calls: ['POST https://sts.amazonaws.com/'] },
    { script: 'awsIam', credentials: basic, answers: [[403, '<Code>InvalidClientTokenId</Code>']], verdict: 'rejected' },
    { script: 'awsIam', credentials: basic, answers: [503], verdict: 'unavailable' },
    { script: 'awsIam', credentials: basic, answers: [[403, 'Credential should be scoped to a valid region.'], 200], verdict: 'accepted' },
    { script: 'azureDevops', credentials: basic, answers: [200], verdict: 'accepted', calls: ['GET /_apis/projects'] },
    { script: 'azureDevops', credentials: basic, answers: [203], verdict: 'rejected' },
    { script: 'azureDevops', credentials: basic, answers: [302], verdict: 'rejected' },
    { script: 'azureDevops', credentials: basic, answers: [500], verdict: 'unavailable' },
    { script: 'bitdefender', credentials: basic, answers: [[200, { id: '1', result: {} }]], verdict: 'accepted' },
    { script: 'bitdefender', credentials: basic, answers: [[200, { id: '1', error: { code: -32000 } }]], verdict: 'rejected' },
    { script: 'bitdefender', credentials: basic, answers: [401], verdict: 'rejected' },
    { script: 'bitdefender', credentials: basic, answers: [429], verdict: 'unavailable' },
    { script: 'cdw', answers: [400], verdict: 'accepted' },
    { script: 'cdw', answers: [401], verdict: 'rejected' },
    { script: 'cdw', answers: [200], verdict: 'rejected' },
    { script: 'cdw', answers: [404], verdict: 'unavailable' },
    { script: 'cdw', answers: [502], verdict: 'unavailable' },
    { script: 'expensify', credentials: basic, answers: [[200, { responseCode: 200, policyList: [] }]], verdict: 'accepted' },
    {
        script: 'expensify',
        credentials: basic,
        answers: [[200, { responseCode: 500, responseMessage: 'Authentication error' }]],
        verdict: 'rejected',
    },
    { script: 'expensify', credentials: basic, answers: [[200, { responseCode: 500, responseMessage: 'Internal' }]], verdict: 'unavailable' },
    { script: 'expensify', credentials: basic, answers: [[200, { responseCode: 429 }]], verdict: 'unavailable' },
    { script: 'expensify', credentials: basic, answers: [404], verdict: 'rejected' },
    { script: 'lastpass', credentials: basic, answers: [[200, { total: 0 }]], verdict: 'accepted', calls: ['POST /enterpriseapi.php'] },
    { script: 'lastpass', credentials: basic, answers: [[200, 'Authorization Error']], verdict: 'rejected' },
    { script: 'lastpass', credentials: basic, answers: [[200, { errors: ['Authorization Error'] }]], verdict: 'rejected' },
    { script: 'lastpass', credentials: basic, answers: [503], verdict: 'unavailable' },
    { script: 'pushpayChmsV1', credentials: basic, answers: [[200, '<ccb_api><response/></ccb_api>']], verdict: 'accepted' },
    {
        script: 'pushpayChmsV1',
        credentials: basic,
        answers: [[200, '<ccb_api><errors><error number="2">no</error></errors></ccb_api>']],
        verdict: 'rejected',
    },
    { script: 'pushpayChmsV1', credentials: basic, answers: [[200, '<html>Sign in</html>']], verdict: 'rejected' },
    { script: 'pushpayChmsV1', credentials: basic, answers: [500], verdict: 'unavailable' },
    { script: 'skio', answers: [[200, { data: { Orders: [] } }]], verdict: 'accepted', calls: ['POST /v1/graphql'] },
    { script: 'skio', answers: [[200, { errors: [{ message: 'no' }] }]], verdict: 'rejected' },
    { script: 'skio', answers: [504], verdict: 'unavailable' },
    { script: 'snipeIt', answers: [[200, { rows: [] }]], verdict: 'accepted', calls: ['GET /v1/users?limit=1'] },
    { script: 'snipeIt', answers: [401], verdict: 'rejected' },
    { script: 'snipeIt', answers: [500], verdict: 'unavailable' },
    {
        script: 'vantageApparel',
        credentials: basic,
        answers: [[200, orderStatus('<errorMessage>301: referenceNumber not found</errorMessage>')]],
        verdict: 'accepted',
        calls: ['POST /OrderStatusService'],
    },
    { script: 'vantageApparel', credentials: basic, answers: [[200, orderStatus('<OrderStatusArray/>')]], verdict: 'accepted' },
    { script: 'vantageApparel', credentials: basic, answers: [[200, refusal105]], verdict: 'rejected' },
    { script: 'vantageApparel', credentials: basic, answers: [[500, refusal105]], verdict: 'rejected' },
    {
        script: 'vantageApparel',
        credentials: basic,
        answers: [[200, orderStatus('<ErrorMessage><code>105</code><description>Authentication failed</description></ErrorMessage>')]],
        verdict: 'rejected',
    },
    {
        script: 'vantageApparel',
        credentials: basic,
        answers: [[200, orderStatus('<errorMessage>100: ID (customerID) not found</errorMessage>')]],
        verdict: 'rejected',
    },
    { script: 'vantageApparel', credentials: basic, answers: [401], verdict: 'rejected' },
    {
        script: 'vantageApparel',
        credentials: basic,
        answers: [[200, orderStatus('<errorMessage>105: Order on hold</errorMessage>')]],
        verdict: 'unavailable',
    },
    {
        script: 'vantageApparel',
        credentials: basic,
        answers: [[200, orderStatus('<errorMessage>999: General Error</errorMessage>')]],
        verdict: 'unavailable',
    },
    { script: 'vantageApparel', credentials: basic, answers: [[200, '<html>Welcome</html>']], verdict: 'unavailable' },
    { script: 'vantageApparel', credentials: basic, answers: [[200, '<a><b></a>']], verdict: 'unavailable' },
    { script: 'vantageApparel', credentials: basic, answers: [404], verdict: 'unavailable' },
    { script: 'vantageApparel', credentials: basic, answers: [429], verdict: 'unavailable' },
    { script: 'vantageApparel', credentials: basic, answers: [503], verdict: 'unavailable' },
];

const run = async ({ script, credentials = key, answers }: Pick<Case, 'script' | 'credentials' | 'answers'>) => {
    const { context, calls } = recorded(answers, { credentials, config: { region: 'eu-central-1' } });
    return { verdict: await verificationScripts.get(`${script}CredentialsVerification`)!(context), calls };
};

describe('verification scripts', () => {
    test.each(cases)('$script: $answers is $verdict', async (one) => {
        const { verdict, calls } = await run(one);
        expect(verdict).toBe(one.verdict);
        if (one.calls) expect(asked(calls)).toEqual(one.calls);
    });

    test.each([...verificationScripts.keys()])('%s has all three verdicts above, and silence passes through', async (name) => {
        const script = name.replace('CredentialsVerification', '');
        const verdicts = new Set(cases.filter((one) => one.script === script).map(({ verdict }) => verdict));
        expect(verdicts).toEqual(new Set(['accepted', 'rejected', 'unavailable']));
        await expect(run({ script, credentials: script === 'awsIam' ? basic : key, answers: ['silence'] })).rejects.toThrow('connect_timeout');
    });

    test('STS is asked in the region of the connection, and in its home region where it refuses that one', async () => {
        const { calls } = await run({ script: 'awsIam', credentials: basic, answers: [[403, 'a valid region'], 200] });
        const signed = (region: string): unknown => {
            const headers = { 'content-type': 'application/x-www-form-urlencoded' };
            const request = { method: 'POST', url: new URL('https://sts.amazonaws.com/'), headers, body: calls[0]!.text };
            const keys = { accessKeyId: 'the-user', secretAccessKey: 'the-<password>&', region, service: 'sts' };
            return { ...headers, ...signAwsRequest(request, keys, Date.UTC(2026, 0, 1)) };
        };
        expect(calls.map(({ headers }) => headers)).toEqual([signed('eu-central-1'), signed('us-east-1')]);
    });

    test('credentials in bodies are written as their format has it', async () => {
        const [vantageApparel] = (await run({ script: 'vantageApparel', credentials: basic, answers: [[200, refusal105]] })).calls;
        expect(vantageApparel!.text).toContain('<id>the-user</id><password>the-&lt;password&gt;&amp;</password>');
        const [lastpass] = (await run({ script: 'lastpass', credentials: basic, answers: [200] })).calls;
        expect(lastpass!.json).toEqual({ cid: 'the-user', provhash: 'the-<password>&', cmd: 'getuserdata' });
        const [expensify] = (await run({ script: 'expensify', credentials: basic, answers: [200] })).calls;
        expect(JSON.parse(expensify!.form!['requestJobDescription']!)).toMatchObject({
            credentials: { partnerUserID: 'the-user', partnerUserSecret: 'the-<password>&' },
            inputSettings: { type: 'policyList' },
        });
    });
});
