/** Providers whose credentials are checked in code (auth-modes §17.2): each says no in a way of its own, often with status 200. */
import { XMLParser } from 'fast-xml-parser';
import { assertCaller } from './caller.ts';
import type { Entry } from './entry.ts';
import { identity } from './modes/aws-sigv4.ts';
import { invalidRequest, unauthorized, type Refusal } from './refusal.ts';
import { assertSigV4, readSigV4 } from './sigv4.ts';
import { assertMethod, formParams, mediaTypeOf } from './twin-request.ts';
import { json, type Answer, type Call, type Endpoint } from './twin.ts';

const html: Answer = { status: 203, headers: { 'content-type': 'text/html' }, body: '<!doctype html><title>Sign in</title>' };
const xml = (body: string): Answer => ({
    status: 200,
    headers: { 'content-type': 'text/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?>${body}`,
});
const noting =
    (answer: Answer) =>
    (refusal: Refusal): Answer => ({ ...answer, note: refusal.message });

interface Check {
    url: string;
    method: string;
    isPrefix?: boolean;
    /** Default: the credential where the entry declares it. */
    assert?: (call: Call) => unknown;
    yes: Answer;
    no?: Answer;
}

function check({ url, method, isPrefix = false, assert = assertCaller, yes, no }: Check): Endpoint {
    return {
        kind: 'lookup',
        url,
        isPrefix,
        handle: async (call) => {
            assertMethod(call.request, method);
            await assert(call);
            return yes;
        },
        ...(no === undefined ? {} : { refuse: noting(no) }),
    };
}

/** A user name and password that travel in the body. */
function assertPair({ entry, world }: Call, username: unknown, password: unknown): void {
    if (typeof username !== 'string' || typeof password !== 'string') throw unauthorized('The user or the password is missing in the body.');
    world.credentials.accept(entry, { id: username, secrets: { username, password } });
}

const keyPair: Check = {
    url: 'https://sts.amazonaws.com/',
    method: 'POST',
    assert: ({ entry, request, world }) => {
        const { keyId, scope } = readSigV4(request);
        if (scope[2] !== 'sts') throw unauthorized('The signature is for another service than STS.');
        const { Action } = { ...Object.fromEntries(request.url.searchParams), ...formParams(request.body) } as Record<string, string>;
        if (Action !== 'GetCallerIdentity') throw unauthorized('The "Action" must be GetCallerIdentity.');
        world.credentials.check(entry, { id: keyId, secrets: { username: keyId } });
        assertSigV4(request, world.credentials.secretOf(entry, keyId, 'password'), world.now());
    },
    yes: identity('arn:aws:iam::123456789012:user/simulated'),
};

/** Both ways of asking. */
const awsUser = (): Endpoint[] => [check(keyPair), check({ ...keyPair, method: 'GET' })];

/** PromoStandards Order Status 1.0.0, SOAP 1.1: the pair travels in the request, and errors are a text in the answer. */
const orderStatus = 'http://www.promostandards.org/WSDL/OrderStatusService/1.0.0/';

const orderStatusAnswer = (error: string): Answer =>
    xml(
        `<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:ns1="${orderStatus}"><SOAP-ENV:Body><ns1:GetOrderStatusDetailsResponse><ns1:errorMessage>${error}</ns1:errorMessage></ns1:GetOrderStatusDetailsResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>`,
    );

function assertOrderStatusRequest(call: Call): void {
    const { request } = call;
    if (mediaTypeOf(request) !== 'text/xml') throw invalidRequest('SOAP 1.1 is sent as text/xml.');
    if (request.headers['soapaction'] !== '"getOrderStatusDetails"') throw invalidRequest('The "SOAPAction" must be "getOrderStatusDetails".');
    const document = new XMLParser({ removeNSPrefix: true, parseTagValue: false, trimValues: false }).parse(request.body) as SoapRequest;
    const asked = document.Envelope?.Body?.GetOrderStatusDetailsRequest;
    if (!request.body.includes(`"${orderStatus}"`) || asked?.['wsVersion'] !== '1.0.0')
        throw invalidRequest('This is no request of Order Status 1.0.0.');
    if (asked['queryType'] === '1' && !asked['referenceNumber']) throw invalidRequest('Query type 1 needs a "referenceNumber".');
    assertPair(call, asked['id'], asked['password']);
}

interface SoapRequest {
    Envelope?: { Body?: { GetOrderStatusDetailsRequest?: Readonly<Record<string, unknown>> } };
}

export const verificationScripts: Readonly<Record<string, (entry: Entry) => Endpoint[]>> = {
    apollo: () => [
        check({
            url: 'https://app.apollo.io/api/v1/auth/health',
            method: 'GET',
            yes: json({ healthy: true, is_logged_in: true }),
            no: json({ healthy: true, is_logged_in: false }),
        }),
    ],
    'aws-iam': awsUser,
    'aws-inspector2': awsUser,
    'azure-devops': () => [
        check({ url: 'https://${connectionConfig.organizationUrl}/_apis/projects', method: 'GET', yes: json({ count: 0, value: [] }), no: html }),
    ],
    bitdefender: () => [
        check({
            url: '${connectionConfig.ACCESS_URL}',
            isPrefix: true,
            method: 'POST',
            yes: json({ jsonrpc: '2.0', id: '1', result: { enabledApis: ['general'], createdAt: '2026-01-01T00:00:00Z' } }),
        }),
    ],
    // An order without content: only the key can be right about it.
    cdw: () => [
        check({ url: 'https://${connectionConfig.baseUrl}', isPrefix: true, method: 'POST', yes: json({ errors: ['The order is empty.'] }, 400) }),
    ],
    expensify: () => [
        check({
            url: 'https://integrations.expensify.com/Integration-Server/ExpensifyIntegrations',
            method: 'POST',
            assert: (call) => {
                const { requestJobDescription } = formParams(call.request.body);
                const { credentials } = JSON.parse(requestJobDescription ?? '{}') as { credentials?: Record<string, unknown> };
                assertPair(call, credentials?.['partnerUserID'], credentials?.['partnerUserSecret']);
            },
            yes: json({ responseCode: 200, policyList: [] }),
            no: json({ responseCode: 500, responseMessage: 'Authentication error' }),
        }),
    ],
    lastpass: () => [
        check({
            url: 'https://lastpass.com/enterpriseapi.php',
            method: 'POST',
            assert: (call) => {
                const body = JSON.parse(call.request.body) as Record<string, unknown>;
                if (body['cmd'] !== 'getuserdata') throw unauthorized('The "cmd" must be getuserdata.');
                assertPair(call, String(body['cid'] as string | number), body['provhash']);
            },
            yes: json({ total: 0, count: 0, Users: {} }),
            no: { status: 200, headers: { 'content-type': 'text/plain' }, body: 'Authorization Error' },
        }),
    ],
    'pushpay-chms-v1': () => [
        check({
            url: 'https://${connectionConfig.subdomain}.ccbchurch.com/api.php',
            method: 'GET',
            yes: xml('<ccb_api><response><daily_limit>10000</daily_limit><counter>1</counter></response></ccb_api>'),
            no: xml(
                '<ccb_api><response><errors><error number="002" type="Service Permission">Invalid username or password.</error></errors></response></ccb_api>',
            ),
        }),
    ],
    skio: () => [
        check({
            url: 'https://graphql.skio.com',
            isPrefix: true,
            method: 'POST',
            yes: json({ data: { Orders: [] } }),
            no: json({ errors: [{ message: 'unauthorized' }] }),
        }),
    ],
    'vantage-apparel': () => [
        check({
            url: 'https://brandedpromoapparel.com/WebServices/OrderStatusService',
            method: 'POST',
            assert: assertOrderStatusRequest,
            yes: orderStatusAnswer('301: referenceNumber not found'),
            no: orderStatusAnswer('105: Authentication Credentials failed'),
        }),
    ],
};
