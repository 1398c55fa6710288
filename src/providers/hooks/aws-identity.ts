import { signAwsRequest } from '../aws-signature.ts';
import { verdictOf } from './answers.ts';
import { HookFailure, type HookAnswer, type HookContext, type VerificationScript } from './hook.ts';

const baseUrl = 'https://sts.amazonaws.com';
const body = 'Action=GetCallerIdentity&Version=2011-06-15';
const homeRegion = 'us-east-1';

/** The one call that every key pair may make, whatever its policies. */
export const awsIdentity: VerificationScript = async (context) => {
    const region = context.connectionConfig['region'];
    const first = await callerIdentity(context, typeof region === 'string' && region !== '' ? region : homeRegion);
    // The global host takes signatures for its home region only, where an account does not say otherwise.
    const isMisplaced = first.status === 403 && region !== homeRegion && String(first.body).includes('valid region');
    return verdictOf(isMisplaced ? await callerIdentity(context, homeRegion) : first);
};

function callerIdentity({ credentials, sources, call }: HookContext, region: string): Promise<HookAnswer> {
    if (credentials.type !== 'BASIC') {
        throw new HookFailure('There is no key pair');
    }
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const keys = { accessKeyId: credentials.username, secretAccessKey: credentials.password, region, service: 'sts' };
    const signature = signAwsRequest({ method: 'POST', url: new URL('/', baseUrl), headers, body }, keys, sources.now());
    return call({ method: 'POST', baseUrl, endpoint: '/', headers: { ...headers, ...signature }, text: body });
}
