import { isSilence, isSuccess } from './answers.ts';
import type { HookContext, VerificationScript } from './hook.ts';

const namespace = 'http://www.promostandards.org/WSDL/OrderStatusService/1.0.0/';
const host = 'brandedpromoapparel.com';

/**
 * PromoStandards, Order Status 1.0.0: the types of statuses are the least that can be asked for. User and password are in the
 * body, and so is the refusal: code 105 of the standard.
 */
export const vantageApparel: VerificationScript = async (context) => {
    const { credentials, call } = context;
    const [id, password] = credentials.type === 'BASIC' ? [credentials.username, credentials.password] : ['', ''];
    const { status, body } = await call({
        method: 'POST',
        endpoint: await serviceEndpoint(context),
        headers: { 'content-type': 'text/xml; charset=utf-8', soapaction: '"getOrderStatusTypes"' },
        text: envelope(id, password),
    });
    const text = typeof body === 'string' ? body : '';
    if (/<(?:[\w.-]+:)?code>\s*105\s*<\//.test(text) && /authentication/i.test(text)) {
        return 'rejected';
    }
    // What is no envelope was not said by the service.
    if (isSilence(status) || !/<(?:[\w.-]+:)?Envelope[\s>]/.test(text)) {
        return status === 401 || status === 403 ? 'rejected' : 'unavailable';
    }
    return isSuccess(status) ? 'accepted' : 'rejected';
};

/** Where the vendor's published description says that the service is, as long as that is on the vendor's own host. */
async function serviceEndpoint({ call }: HookContext): Promise<string> {
    const { body } = await call({ endpoint: '/WSDL/OrderStatusService.wsdl' });
    const [, address] = /<(?:[\w.-]+:)?address\s[^>]*location="([^"]+)"/.exec(typeof body === 'string' ? body : '') ?? [];
    const url = address !== undefined && URL.canParse(address) ? new URL(address) : undefined;
    const root = '/WebServices/';
    return url?.hostname === host && url.pathname.startsWith(root) ? `/${url.pathname.slice(root.length)}${url.search}` : '/OrderStatusService';
}

const envelope = (id: string, password: string): string =>
    `<?xml version="1.0" encoding="UTF-8"?>` +
    `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:ns="${namespace}" xmlns:shar="${namespace}SharedObjects/">` +
    `<soapenv:Header/><soapenv:Body><ns:GetOrderStatusTypesRequest><shar:wsVersion>1.0.0</shar:wsVersion>` +
    `<shar:id>${escaped(id)}</shar:id><shar:password>${escaped(password)}</shar:password>` +
    `</ns:GetOrderStatusTypesRequest></soapenv:Body></soapenv:Envelope>`;

const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
