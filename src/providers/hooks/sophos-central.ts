import { ask, at, idAt, nameOf } from './answers.ts';
import { HookFailure, type PostConnectionHook } from './hook.ts';
import { isHostBelow } from './vendor-host.ts';

/** Each tenant has its data in one region, on a host of its own: the base of every other call. */
export const sophosCentral: PostConnectionHook = async (context) => {
    const call = { baseUrl: 'https://api.central.sophos.com', endpoint: '/whoami/v1' };
    const body = await ask(context, call);
    if (at(body, 'idType') !== 'tenant') {
        throw new HookFailure('The API client is not one of a tenant');
    }
    const dataRegion = String(idAt(body, 'apiHosts.dataRegion', nameOf(call)));
    if (!isHostBelow(dataRegion, 'sophos.com')) {
        throw new HookFailure(`${nameOf(call)} answered with a data region that is not a host of Sophos`);
    }
    return { tenantId: idAt(body, 'id', nameOf(call)), dataRegion };
};
