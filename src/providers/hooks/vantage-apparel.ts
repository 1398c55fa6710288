import { isSuccess } from './answers.ts';
import type { VerificationScript } from './hook.ts';

/** The name of the service in the standard. Where the vendor has it is not public: the path is a guess. */
const endpoint = '/OrderStatusService';
const namespace = 'http://www.promostandards.org/WSDL/OrderStatusService/1.0.0/';

/**
 * PromoStandards Order Status 1.0.0. The status of an order that nobody placed is asked for, since the account is looked at before
 * its orders are; the list of status types, which needs no number, may be the same for everybody. What is no answer of this
 * service, or another error of it, says nothing: it may be the path or the form of the request.
 */
export const vantageApparel: VerificationScript = async ({ credentials, call }) => {
    const [id, password] = credentials.type === 'BASIC' ? [credentials.username, credentials.password] : ['', ''];
    const { status, body } = await call({
        method: 'POST',
        endpoint,
        headers: { 'content-type': 'text/xml; charset=utf-8', soapaction: '"getOrderStatusDetails"' },
        text: orderRequest(id, password),
    });
    if (status === 401 || status === 403) {
        return 'rejected';
    }
    const error = await errorIn(body);
    const code = Number.parseInt(error ?? '', 10);
    // 100 is an unknown id. The contract takes a 105 for a refusal only with a message that says so.
    if (code === 100 || (code === 105 && /authenticat/i.test(error!))) {
        return 'rejected';
    }
    // 301: no such order.
    return isSuccess(status) && (error === '' || code === 301) ? 'accepted' : 'unavailable';
};

/** Query type 1 looks a purchase order up by its number. */
const orderRequest = (id: string, password: string): string =>
    `<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><GetOrderStatusDetailsRequest xmlns="${namespace}"><wsVersion>1.0.0</wsVersion><id>${escaped(id)}</id><password>${escaped(password)}</password><queryType>1</queryType><referenceNumber>credential-check</referenceNumber></GetOrderStatusDetailsRequest></soap:Body></soap:Envelope>`;

/** For content of elements. */
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\r', '&#13;');

/**
 * The error in the service's answer, beginning with its code; empty where there is none, `undefined` where the body is no such
 * answer. The standard has a text ("105: …"), some suppliers an element with `code` and `description`.
 */
async function errorIn(body: unknown): Promise<string | undefined> {
    if (typeof body !== 'string' || /<!DOCTYPE/i.test(body)) return undefined;
    const { DOMParser } = await import('@xmldom/xmldom');
    const refuse = (): never => {
        throw new Error('not well-formed');
    };
    try {
        const parser = new DOMParser({ errorHandler: { warning: refuse, error: refuse, fatalError: refuse } });
        const [response] = Array.from(parser.parseFromString(body, 'text/xml').getElementsByTagNameNS('*', 'GetOrderStatusDetailsResponse'));
        return (
            response &&
            Array.from(response.childNodes)
                .filter(({ nodeName }) => /^(.+:)?errorMessage$/i.test(nodeName))
                .flatMap(({ childNodes }) => Array.from(childNodes, ({ textContent }) => textContent?.trim() ?? ''))
                .join(' ')
                .trim()
        );
    } catch {
        return undefined;
    }
}
